"""Collecting from a real HTTP server into a real database."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from ghostwriter.collecting.archive import Answer, Crawl, Revision
from ghostwriter.collecting.collect import CollectReport
from ghostwriter.collecting.export import export_rows
from ghostwriter.collecting.sources import errors
from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.collect_case import CHALLENGE, ids, run
from tests.zhihu_site import ACCOUNT, COOKIE, FaultySite, answer, answers, page


def test_the_whole_list_is_read_page_by_page_over_one_connection(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(45)) as site:
        report = run(writer, either_database, site)
    assert site.offsets == [0, 20, 40]
    assert site.connections == 1
    assert site.record.most_in_flight == 1
    assert (report.saved, report.known, report.site_total, report.requests) == (45, 45, 45, 3)
    assert len(list(export_rows(either_database, "laocheng"))) == 45


def test_each_request_carries_the_browsers_headers_and_limit_20(writer: Writer, home: Home) -> None:
    with FaultySite(answers(3)) as site:
        run(writer, home, site, cookie=f"{COOKIE}\nUser-Agent: Mozilla/5.0 (X11) Test/1")
    sent = site.record.seen[0].request
    assert sent.path == f"/api/v4/members/{ACCOUNT}/answers"
    assert sent.query["limit"] == "20"
    assert sent.query["include"].startswith("data[*].is_normal")
    assert "paid_info" in sent.query["include"]
    assert sent.headers["user-agent"] == "Mozilla/5.0 (X11) Test/1"
    assert sent.headers["referer"] == f"{site.url}/people/{ACCOUNT}/answers"
    assert sent.headers["cookie"] == COOKIE


def test_only_is_end_ends_the_list_not_a_short_page(writer: Writer, home: Home) -> None:
    def shorten(page: dict[str, Any]) -> dict[str, Any]:
        return {**page, "data": page["data"][:19]} if len(page["data"]) == 20 else page

    with FaultySite(answers(45)) as site:
        site.edit_page = shorten
        report = run(writer, home, site)
    assert site.offsets == [0, 20, 40]
    assert report.known == 19 + 19 + 5


def test_a_page_with_more_than_20_items_and_repeated_ids_is_read(writer: Writer, home: Home) -> None:
    with FaultySite(answers(45)) as site:
        site.edit_page = lambda page: {**page, "data": page["data"] + site.items[20:23]} if page["paging"]["is_start"] else page
        report = run(writer, home, site)
    assert report.known == 45
    assert site.offsets == [0, 20, 40]


def test_empty_pages_in_the_middle_are_passed(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        site.edit_page = lambda page: {**page, "data": []} if page["data"][0]["id"] in (2_000_000_080, 2_000_000_060) else page
        with pytest.raises(errors.Incomplete):
            run(writer, home, site)
    assert site.offsets == [0, 20, 40, 60, 80]
    assert len(ids(home)) == 60


def test_five_empty_pages_in_a_row_end_the_list_without_marking_anything_gone(writer: Writer, home: Home) -> None:
    with FaultySite(answers(40)) as site:
        run(writer, home, site)
        site.edit_page = lambda page: {"paging": {**page["paging"], "is_end": False}, "data": page["data"]}
        del site.items[20:]
        site.hidden = 20
        report = run(writer, home, site, full=True)
    assert site.offsets == [0, 20, 0, 20, 40, 60, 80, 100]
    assert report.newly_gone == 0


def test_a_night_with_nothing_new_costs_two_requests(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, either_database, site)
        site.record.seen.clear()
        report = run(writer, either_database, site)
    assert site.offsets == [0, 20]
    assert (report.saved, report.requests) == (0, 2)


def test_a_night_reads_on_until_a_page_and_one_of_overlap_are_known(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.items[:0] = [answer(number) for number in range(125, 100, -1)]
        site.record.seen.clear()
        report = run(writer, home, site)
    assert site.offsets == [0, 20, 40, 60]
    assert (report.new, report.known) == (25, 125)


def test_an_edit_makes_a_revision(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(5)) as site:
        run(writer, either_database, site)
        site.items[2] = answer(3, content="<p>改了。</p>", updated_time=1_770_000_000)
        report = run(writer, either_database, site)
    assert (report.saved, report.changed, report.new) == (1, 1, 0)
    engine = open_database(either_database.database_url)
    with Session(engine) as session:
        old = session.scalars(select(Revision)).one()
        new = session.get_one(Answer, ("laocheng", "2000000003"))
    engine.dispose()
    assert (old.answer, old.updated) == ("2000000003", 1_760_010_800)
    assert "3 斤萝卜" in old.body
    assert (new.body, new.updated) == ("<p>改了。</p>", 1_770_000_000)


def test_an_edit_without_a_new_time_is_found_by_its_content(writer: Writer, home: Home) -> None:
    with FaultySite(answers(5)) as site:
        run(writer, home, site)
        site.items[0] = answer(5, content="<p>偷偷改了。</p>")
        assert run(writer, home, site).changed == 1


def test_other_image_hosts_and_counters_are_no_edit(writer: Writer, home: Home) -> None:
    picture = '<figure><img src="https://{}.zhimg.com/v2-ab_r.jpg?source={}" data-original="https://{}.zhimg.com/v2-ab_r.jpg"></figure>'
    with FaultySite([answer(1, content=picture.format("pic1", "a", "pica"))]) as site:
        run(writer, home, site)
        site.items[0] = answer(1, content=picture.format("picx", "b", "pic2"), comment_count=99)
        assert run(writer, home, site).saved == 0


def test_full_finds_edits_deep_in_the_list(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.items[90] = answer(10, content="<p>旧文新改。</p>", updated_time=1_770_000_000)
        assert run(writer, home, site).changed == 0
        assert run(writer, home, site, full=True).changed == 1


def test_a_count_that_flickers_does_not_multiply_the_requests(writer: Writer, home: Home) -> None:
    with FaultySite(answers(400)) as site:
        site.edit_page = lambda page: {**page, "paging": {**page["paging"], "totals": 400 - len(site.record.seen) % 2}}
        report = run(writer, home, site)
    assert report.known == 400
    assert len(site.offsets) < 20 + 50 + 10


def test_a_gap_within_the_tolerance_is_reported_and_one_beyond_it_fails(writer: Writer, home: Home) -> None:
    with FaultySite(answers(43)) as site:
        site.hidden = 2
        report = run(writer, home, site)
        assert "43 saved, site says 45 (hidden or deleted answers are counted there)" in report.statement
        site.hidden = 3
        with pytest.raises(errors.Incomplete) as raised:
            run(writer, home, site)
    assert "43 answers were found, the site says 46: more than 5% are missing." in str(raised.value)
    assert isinstance(raised.value.report, CollectReport)
    assert raised.value.report.known == 43


def test_a_site_that_gives_no_count_is_read_all_the_same(writer: Writer, home: Home) -> None:
    with FaultySite(answers(30)) as site:
        site.edit_page = lambda page: {**page, "paging": {"is_end": page["paging"]["is_end"]}}
        report = run(writer, home, site)
    assert (report.known, report.site_total) == (30, None)


def test_the_real_pages_are_archived_whole(writer: Writer, home: Home) -> None:
    folder = Path(__file__).parent / "zhihu"
    pages = [
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("answer_list.redacted.json", "answer_list_2.redacted.json")
    ]
    pages[1]["paging"] |= {"is_end": True}
    with FaultySite([]) as site:
        site.edit_page = lambda page: pages[len(site.record.seen) - 1]
        with pytest.raises(errors.Incomplete):
            run(writer, home, site)
    rows = list(export_rows(home, "laocheng"))
    assert len(rows) == 38
    assert sum("no_repost" in row["flags"] for row in rows) == 23
    assert not any("foreign_author" in row["flags"] for row in rows)
    assert all(row["text"] and row["question"] and row["created"].endswith("+00:00") for row in rows)
    assert [row["created"] for row in rows] == sorted((row["created"] for row in rows), reverse=True)


def test_an_unfinished_crawl_goes_on_at_its_page_also_by_night(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.items[:0] = [answer(number) for number in range(170, 100, -1)]
        site.record.seen.clear()
        site.script = [None, None, page(403, CHALLENGE)]
        with pytest.raises(errors.SignatureRequired):
            run(writer, home, site)
        run(writer, home, site)
    assert site.offsets == [0, 20, 40, 40, 60, 80, 100]
    assert len(ids(home)) == 170


def test_the_crawls_state_says_finished(writer: Writer, home: Home) -> None:
    with FaultySite(answers(30)) as site:
        run(writer, home, site)
        run(writer, home, site)
    engine = open_database(home.database_url)
    with Session(engine) as session:
        assert [(crawl.mode, crawl.state) for crawl in session.scalars(select(Crawl))] == [
            ("full", "finished"),
            ("incremental", "finished"),
        ]
    engine.dispose()
