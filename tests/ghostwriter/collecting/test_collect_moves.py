"""Collecting from a real HTTP server whose list moves, between two readings and during one: what is gone is marked, nothing is lost."""

import random
from typing import Any

import pytest

from ghostwriter.collecting.sources import errors
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.collect_case import ids, run
from tests.zhihu_site import FaultySite, answer, answers


def test_an_answer_that_is_gone_is_marked_and_kept(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(60)) as site:
        run(writer, either_database, site)
        del site.items[50]
        report = run(writer, either_database, site, full=True)
    assert (report.newly_gone, report.gone, report.known) == (1, 1, 60)
    assert ids(either_database, flag="gone") == {"2000000010"}


def test_one_gone_from_the_pages_a_night_reads_is_marked_too(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        del site.items[5]
        report = run(writer, home, site)
    assert report.requests == 2
    assert ids(home, flag="gone") == {"2000000095"}


def test_one_that_comes_back_is_no_longer_gone(writer: Writer, home: Home) -> None:
    with FaultySite(answers(30)) as site:
        run(writer, home, site)
        taken = site.items.pop(3)
        run(writer, home, site)
        site.items.insert(3, taken)
        report = run(writer, home, site)
    assert (report.gone, report.saved) == (0, 0)
    assert ids(home, flag="gone") == set()


def test_an_answer_added_while_paging_is_found_by_reading_the_head_again(writer: Writer, home: Home) -> None:
    with FaultySite(answers(60)) as site:
        site.moves[2] = lambda items: items.insert(0, answer(61))
        report = run(writer, home, site)
    assert report.known == 61
    assert site.offsets == [0, 20, 40, 60, 0]


def test_an_answer_deleted_while_paging_loses_no_other(writer: Writer, home: Home) -> None:
    with FaultySite(answers(60)) as site:
        site.moves[2] = lambda items: items.pop(0)
        report = run(writer, home, site)
    assert site.offsets == [0, 20, 0, 40]
    assert ids(home) == {str(2_000_000_000 + number) for number in range(1, 61)}
    assert report.site_total == 59


def test_many_deleted_at_once_make_as_many_pages_read_again(writer: Writer, home: Home) -> None:
    def delete_25(items: list[dict[str, Any]]) -> None:
        del items[:25]

    with FaultySite(answers(100)) as site:
        site.moves[4] = delete_25
        run(writer, home, site)
    assert site.offsets == [0, 20, 40, 60, 40, 20]
    assert ids(home) == {str(2_000_000_000 + number) for number in range(1, 101)}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_moves_every_answer_that_stayed_is_archived(writer: Writer, home: Home, seed: int) -> None:
    chance = random.Random(seed)
    with FaultySite(answers(130)) as site:
        added = iter(range(131, 200))

        def move(items: list[dict[str, Any]]) -> None:
            if chance.random() < 0.5:
                items.insert(0, answer(next(added)))
            else:
                del items[chance.randrange(len(items))]

        site.moves = {number: move for number in range(2, 8) if chance.random() < 0.6}
        run(writer, home, site)
        stayed = {str(item["id"]) for item in site.items}
    assert stayed <= ids(home)
    assert not stayed & ids(home, flag="gone")


def test_what_slid_back_and_was_pushed_on_again_is_found(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        site.moves[2] = lambda items: items.pop(3)
        site.moves[3] = lambda items: items.insert(0, answer(101))
        run(writer, home, site)
        assert site.offsets == [0, 20, 0, 20, 40, 60, 80, 0]
        assert {str(item["id"]) for item in site.items} <= ids(home)


def test_a_list_cut_below_half_of_its_count_marks_nothing_gone(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.edit_page = lambda page: {"paging": {"is_end": True, "totals": 100}, "data": []}
        with pytest.raises(errors.Incomplete, match="ended after 0 answers, the site says 100"):
            run(writer, home, site)
    assert ids(home, flag="gone") == set()
