"""The split stays as it is when the corpus grows, and keeps near duplicates apart."""

from pathlib import Path

import pytest

from ghostwriter.distilling.corpus import read_corpus
from ghostwriter.distilling.split import is_heldout
from ghostwriter.errors import CorpusTooSmall, WriterFileError
from ghostwriter.home import Home
from tests.distill_case import answers_of, make_writer, pairs


def test_a_question_keeps_its_side_when_the_corpus_grows(tmp_path: Path) -> None:
    small = read_corpus(make_writer(), answers_of(Home(tmp_path), pairs(80)), Home(tmp_path))
    large = read_corpus(make_writer(), answers_of(Home(tmp_path), pairs(120)), Home(tmp_path))
    assert {pair.id for pair in small.heldout} <= {pair.id for pair in large.heldout}
    assert {pair.id for pair in small.training} <= {pair.id for pair in large.training}
    assert not {pair.id for pair in large.training} & {pair.id for pair in large.heldout}


def test_a_training_pair_like_a_heldout_one_is_left_out(tmp_path: Path) -> None:
    rows = pairs(60)
    heldout = next(row for row in rows if is_heldout(row["question_id"], "tester", 0.1))
    trained = [row for row in rows if not is_heldout(row["question_id"], "tester", 0.1)]
    trained[0]["question"] = heldout["question"].replace("?", " now?")
    trained[1]["text"] = heldout["text"] + " More."
    corpus = read_corpus(make_writer(), answers_of(Home(tmp_path), rows), Home(tmp_path))
    assert corpus.dropped == {"near_duplicate_of_heldout": 2}
    assert not {trained[0]["id"], trained[1]["id"]} & {pair.id for pair in corpus.training}


def test_empty_and_second_answers_are_left_out_and_counted(tmp_path: Path) -> None:
    rows = pairs(60)
    again, empty = {**rows[0], "id": "again"}, {**rows[0], "id": "empty", "question_id": "empty", "text": "  "}
    corpus = read_corpus(make_writer(), answers_of(Home(tmp_path), [*rows, again, empty]), Home(tmp_path))
    assert corpus.dropped == {"same_question": 1, "empty": 1}


def test_too_small_a_corpus_says_what_is_there_and_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(
        CorpusTooSmall, match=r"Tess Ter has 3 usable answers: 2 to learn from and 1 held out .* At least 5 and 1 are needed"
    ):
        read_corpus(make_writer(), answers_of(Home(tmp_path), pairs(3)), Home(tmp_path))


def test_extra_questions_are_taken_once_and_never_those_of_the_writer(tmp_path: Path) -> None:
    rows = pairs(60)
    file = tmp_path / "extra.txt"
    file.write_text(f"Where do gulls sleep?\n\nWhere do gulls sleep ?\n{rows[0]['question']}\nWhat is tar for?\n")
    corpus = read_corpus(make_writer(extra_questions=file), answers_of(Home(tmp_path), rows), Home(tmp_path))
    assert [question.text for question in corpus.questions if question.origin == "extra"] == ["Where do gulls sleep?", "What is tar for?"]
    assert corpus.dropped == {"extra_question_known": 2}


def test_a_missing_file_of_extra_questions_is_named(tmp_path: Path) -> None:
    with pytest.raises(WriterFileError, match=r"teacher\.extra_questions = .*nowhere\.txt.* one question a line"):
        read_corpus(make_writer(extra_questions=tmp_path / "nowhere.txt"), answers_of(Home(tmp_path), pairs(60)), Home(tmp_path))
