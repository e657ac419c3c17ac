"""A question's side of the split: by its hash, or by a list of names."""

import logging
from pathlib import Path

import pytest

from ghostwriter.distilling.corpus import read_corpus
from ghostwriter.distilling.distill import distill
from ghostwriter.distilling.split import is_heldout, split, usual_share
from ghostwriter.errors import CorpusTooSmall, WriterFileError
from ghostwriter.home import Home
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import read_rows
from ghostwriter.writer import Writer, load_writer
from ghostwriter.writer_settings import Evaluation
from tests.distill_case import answers_of, demo_pairs, make_writer, pairs

PAIRS = [
    Pair("a1", "11", "What is tar?", "Black."),
    Pair("a2", "22", "11 gulls?", "White."),
    Pair("a3", "33", "Why?", "So."),
]


def small_writer() -> Writer:
    """One whose file names no share."""
    return make_writer().model_copy(update={"evaluation": Evaluation()})


def sides(folder: Path) -> tuple[set[str], set[str]]:
    """Ids of the questions that a dataset trains on, and of those it holds out."""
    learned, heldout = ({row["question_id"] for row in read_rows(folder, name)} for name in ("direct.jsonl", "heldout.jsonl"))
    return learned, heldout


def listing(path: Path, text: str) -> Writer:
    """A writer whose held-out questions stand in a file at `path`."""
    path.write_text(text, encoding="utf-8")
    writer = make_writer()
    settings = writer.evaluation.model_copy(update={"heldout_questions": path})
    return writer.model_copy(update={"evaluation": settings})


def test_about_the_wanted_share_is_held_out() -> None:
    assert sum(is_heldout(str(number), "tester", 0.1) for number in range(10_000)) in range(930, 1_070)


def test_another_writer_is_split_otherwise() -> None:
    sides = [[is_heldout(str(number), stem, 0.5) for number in range(50)] for stem in ("one", "two")]
    assert sides[0] != sides[1]


@pytest.mark.parametrize(("answers", "share"), [(50, 0.25), (100, 0.24), (200, 0.12), (240, 0.1), (4_000, 0.1)])
def test_a_small_writer_holds_out_a_larger_share(answers: int, share: float) -> None:
    assert usual_share(answers) == pytest.approx(share)
    pairs = [Pair(f"a{number}", f"q{number}", "?", ".") for number in range(answers)]
    assert len(split(small_writer(), pairs)[1]) == pytest.approx(share * answers, abs=3 * (share * answers) ** 0.5)
    assert len(split(make_writer(), pairs)[1]) == pytest.approx(0.1 * answers, abs=3 * (0.1 * answers) ** 0.5)


def test_what_was_trained_on_is_never_held_out_and_a_growing_corpus_only_gives_back(tmp_path: Path) -> None:
    home, rows = Home(tmp_path), pairs(200)
    usual = {row["question_id"] for row in rows if is_heldout(row["question_id"], "tester", 0.1)}
    learned, heldout = sides(distill(small_writer(), home, answers_of(home, rows[:100]), None, mode="direct"))
    assert len(heldout) >= 18 and usual & (learned | heldout) <= heldout
    again = distill(small_writer(), home, answers_of(home, rows[:100]), None, mode="direct")
    assert sides(again) == (learned, heldout)  # its own dataset is no earlier one
    later, kept = sides(distill(small_writer(), home, answers_of(home, rows), None, mode="direct"))
    assert learned <= later and heldout - kept  # the share fell
    fewer, back = sides(distill(small_writer(), home, answers_of(home, rows[:50]), None, mode="direct"))
    assert not back & (learned | later) and fewer  # a corpus that shrinks holds out nothing that was learned


def test_a_writer_of_an_earlier_version_keeps_its_split(tmp_path: Path) -> None:
    home, answers = Home(tmp_path), answers_of(Home(tmp_path), pairs(100))
    earlier = distill(make_writer(), home, answers, None, mode="direct")
    assert distill(small_writer(), home, answers, None, mode="direct") == earlier


@pytest.mark.parametrize(
    "text",
    ["11\n33\n", "11  What is tar?\n33\tand a remark\n", "# held out\n\nWhat is tar?\nWhy?\n"],
)
def test_exactly_the_questions_of_the_list_are_held_out(tmp_path: Path, text: str) -> None:
    learned, heldout = split(listing(tmp_path / "list.txt", text), PAIRS)
    assert ([pair.id for pair in learned], [pair.id for pair in heldout]) == (["a2"], ["a1", "a3"])


def test_a_question_that_begins_like_an_id_is_no_id(tmp_path: Path) -> None:
    _, heldout = split(listing(tmp_path / "list.txt", "11 gulls?\n"), PAIRS)
    assert [pair.id for pair in heldout] == ["a2"]


def test_a_line_that_names_no_answer_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        split(listing(tmp_path / "list.txt", "11\n44  Where?\n"), PAIRS)
    assert "1 of the 2 questions" in caplog.text
    assert "44  Where?" in caplog.text


def test_a_list_of_none_of_the_answers_is_named_before_any_call(tmp_path: Path) -> None:
    writer = listing(tmp_path / "list.txt", "nobody\n")
    with pytest.raises(CorpusTooSmall, match=r"0 held out .*heldout_questions = .*list\.txt"):
        read_corpus(writer, answers_of(Home(tmp_path), pairs(60)), Home(tmp_path))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    writer = listing(tmp_path / "list.txt", "")
    (tmp_path / "list.txt").unlink()
    with pytest.raises(WriterFileError, match=r"heldout_questions = .*list\.txt.* cannot be read"):
        split(writer, PAIRS)


def test_the_demos_writer_holds_out_its_list_and_loses_no_pair(tmp_path: Path) -> None:
    corpus = read_corpus(load_writer("lamplight"), answers_of(Home(tmp_path), demo_pairs("lamplight")), Home(tmp_path))
    assert (len(corpus.training), len(corpus.heldout)) == (163, 43)
    assert not corpus.dropped
