"""The leakage check sees every way in."""

from pathlib import Path
from typing import Any

import pytest

from ghostwriter.distilling.corpus import Corpus, read_corpus
from ghostwriter.distilling.dataset import Leak, pair_row, write_dataset
from ghostwriter.home import Home
from ghostwriter.pairs import Pair, Question
from tests.distill_case import answers_of, make_writer, pairs


@pytest.fixture
def case(tmp_path: Path) -> tuple[Home, Path, Corpus]:
    home = Home(tmp_path)
    answers = answers_of(home, pairs(60))
    return home, answers, read_corpus(make_writer(), answers)


def write(case: tuple[Home, Path, Corpus], corpus: Corpus, rows: list[dict[str, Any]]) -> Path:
    return write_dataset(case[0].datasets("tester"), "tester", case[1], corpus, rows, {}, {})


def test_a_clean_dataset_is_written(case: tuple[Home, Path, Corpus]) -> None:
    assert (write(case, case[2], []) / "manifest.json").exists()


def test_a_heldout_answer_in_a_teachers_row_fails_the_build(case: tuple[Home, Path, Corpus]) -> None:
    leaked = case[2].heldout[0]
    row = pair_row(Pair("bad", "other", "Another question altogether?", leaked.answer + " And so on."))
    with pytest.raises(Leak, match=f"Row bad holds the question or answer of the held-out pair {leaked.id}"):
        write(case, case[2], [row])
    assert not case[0].datasets("tester").exists()


def test_a_heldout_question_in_a_teachers_row_fails_the_build(case: tuple[Home, Path, Corpus]) -> None:
    row = pair_row(Pair("bad", "other", case[2].heldout[0].question, "Something else."))
    with pytest.raises(Leak):
        write(case, case[2], [row])


def test_a_heldout_pair_among_the_examples_fails_the_build(case: tuple[Home, Path, Corpus]) -> None:
    corpus = case[2]
    with pytest.raises(Leak):
        write(case, Corpus((*corpus.training, corpus.heldout[0]), corpus.heldout, corpus.questions), [])


def test_a_heldout_question_among_the_extra_ones_fails_the_build(case: tuple[Home, Path, Corpus]) -> None:
    corpus = case[2]
    asked = Question("extra", corpus.heldout[0].question, "extra")
    with pytest.raises(Leak):
        write(case, Corpus(corpus.training, corpus.heldout, (*corpus.questions, asked)), [])
