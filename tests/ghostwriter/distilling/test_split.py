"""A question's side of the split: by its hash, or by a list of names."""

import logging
from pathlib import Path

import pytest

from ghostwriter.distilling.corpus import read_corpus
from ghostwriter.distilling.split import is_heldout, split
from ghostwriter.errors import CorpusTooSmall, WriterFileError
from ghostwriter.home import Home
from ghostwriter.pairs import Pair
from ghostwriter.writer import Writer, load_writer
from tests.distill_case import answers_of, demo_pairs, make_writer, pairs

PAIRS = [
    Pair("a1", "11", "What is tar?", "Black."),
    Pair("a2", "22", "11 gulls?", "White."),
    Pair("a3", "33", "Why?", "So."),
]


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
        read_corpus(writer, answers_of(Home(tmp_path), pairs(60)))


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    writer = listing(tmp_path / "list.txt", "")
    (tmp_path / "list.txt").unlink()
    with pytest.raises(WriterFileError, match=r"heldout_questions = .*list\.txt.* cannot be read"):
        split(writer, PAIRS)


def test_the_demos_writer_holds_out_its_list_and_loses_no_pair(tmp_path: Path) -> None:
    corpus = read_corpus(load_writer("lamplight"), answers_of(Home(tmp_path), demo_pairs("lamplight")))
    assert (len(corpus.training), len(corpus.heldout)) == (163, 43)
    assert not corpus.dropped
