"""The experiment's held-out pairs: new to everything that is learned from, and named in its split."""

import json
from pathlib import Path

import pytest

from demo.teacher import RECORDING, REWRITES
from ghostwriter.distilling.split import split
from ghostwriter.home import ROOT
from ghostwriter.pairs import Pair
from ghostwriter.similarity import answers_index, questions_index
from ghostwriter.tokens import ngrams, words
from ghostwriter.writer import load_writer

FOLDER = ROOT / "demo" / "experiment"
LONGEST_SHARED = 8


def read(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def added() -> list[dict[str, str]]:
    return read(FOLDER / "lamplight_heldout.jsonl")


@pytest.fixture(scope="module")
def before() -> list[dict[str, str]]:
    """All that the demo's writer had written."""
    return [row for name in ("lamplight", "lamplight_news") for row in read(ROOT / "demo" / "corpus" / f"{name}.jsonl")]


def test_they_say_where_they_come_from(added: list[dict[str, str]]) -> None:
    assert len(added) == 120
    assert {row["origin"] for row in added} == {"written for this project by a language model"}


def test_no_question_and_no_answer_is_nearly_another_of_the_writers(added: list[dict[str, str]], before: list[dict[str, str]]) -> None:
    questions = questions_index((row["id"], row["question"]) for row in before)
    answers = answers_index((row["id"], row["answer"]) for row in before)
    for row in added:
        assert not questions.find(row["question"]), row["question"]
        assert not answers.find(row["answer"]), row["question"]
        questions.add(row["id"], row["question"])
        answers.add(row["id"], row["answer"])
    assert len({row[name] for row in (*added, *before) for name in ("id", "question_id")}) == 2 * len(added) + 2 * len(before)


def test_they_share_no_run_of_eight_words_with_what_is_learned_from(added: list[dict[str, str]], before: list[dict[str, str]]) -> None:
    learned = [*(row["answer"] for row in (*before, *read(RECORDING))), *(row["plain"] for row in read(REWRITES))]
    runs = {run for text in learned for run in ngrams(words(text), LONGEST_SHARED)}
    assert not [run for row in added for run in ngrams(words(row["answer"]), LONGEST_SHARED) if run in runs]


def test_the_split_leaves_the_recorded_questions_to_learn_from(added: list[dict[str, str]]) -> None:
    corpus = read(ROOT / "demo" / "corpus" / "lamplight.jsonl")
    pairs = [Pair(row["id"], row["question_id"], row["question"], row["answer"]) for row in (*corpus, *added)]
    writer = load_writer("lamplight")
    named = writer.evaluation.model_copy(update={"heldout_questions": Path("demo/experiment/heldout.txt")})
    training, heldout = split(writer.model_copy(update={"evaluation": named}), pairs)
    recorded = {row["question"] for row in read(RECORDING)}
    assert {pair.question for pair in training} == recorded == {row["question"] for row in read(REWRITES)}
    assert len(heldout) == 43 + 120


def test_the_demo_goes_on_with_its_own_few(added: list[dict[str, str]]) -> None:
    evaluation = load_writer("lamplight").evaluation
    assert (evaluation.heldout_questions, evaluation.questions) == (Path("demo/heldout.txt"), 24)
    corpora = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "demo" / "corpus").glob("*.jsonl"))
    assert not [row["id"] for row in added if row["id"] in corpora]
