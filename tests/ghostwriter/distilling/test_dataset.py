"""The leakage check sees every way in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.distilling.corpus import Corpus, read_corpus
from ghostwriter.distilling.dataset import Leak, pair_row, write_dataset
from ghostwriter.errors import WriterFileError
from ghostwriter.home import Home
from ghostwriter.pairs import Pair, Question
from ghostwriter.snapshot import read_rows
from ghostwriter.writer_settings import Evaluation
from tests.distill_case import answers_of, make_writer, pairs


@pytest.fixture
def case(tmp_path: Path) -> tuple[Home, Path, Corpus]:
    home = Home(tmp_path)
    answers = answers_of(home, pairs(60))
    return home, answers, read_corpus(make_writer(), answers, home)


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


def test_plain_rewrites_of_training_answers_stand_in_a_file_of_their_own(case: tuple[Home, Path, Corpus], tmp_path: Path) -> None:
    home, answers, corpus = case
    file = tmp_path / "twins.jsonl"
    asked = [*corpus.training[:3], corpus.heldout[0]]
    lines = [json.dumps({"question": pair.question, "plain": f"Plainly, {pair.id}."}) for pair in asked]
    file.write_text("\n".join(lines))
    evaluation = Evaluation(heldout_share=0.1, twins=file)
    found = read_corpus(make_writer().model_copy(update={"evaluation": evaluation}), answers, home)
    folder = write(case, found, [])
    rows = read_rows(folder, "twins.jsonl")
    assert [row["messages"][1]["content"] for row in rows] == [f"Plainly, {pair.id}." for pair in corpus.training[:3]]
    assert folder != write(case, corpus, [])


def test_a_rewrite_that_holds_a_heldout_answer_fails_the_build(case: tuple[Home, Path, Corpus]) -> None:
    pair, leaked = case[2].training[0], case[2].heldout[0]
    twin = Pair(pair.id, pair.question_id, pair.question, leaked.answer)
    with pytest.raises(Leak, match=leaked.id):
        write(case, replace(case[2], twins=(twin,)), [])


def test_a_file_of_rewrites_that_cannot_be_read_is_named(case: tuple[Home, Path, Corpus], tmp_path: Path) -> None:
    file = tmp_path / "twins.jsonl"
    file.write_text('{"question": "Why?"}')
    writer = make_writer().model_copy(update={"evaluation": Evaluation(twins=file)})
    with pytest.raises(WriterFileError, match=r"evaluation\.twins = .*twins\.jsonl.*`question`.*`plain`"):
        read_corpus(writer, case[1], case[0])
