"""Each recorded answer is given once; the same call gets the same answer, also from a server that starts again."""

import json
from pathlib import Path

import pytest

from demo.recording import Recording, question_of
from demo.teacher import RECORDING
from ghostwriter.distilling.prompt import load_prompt
from ghostwriter.pairs import Pair


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    rows = [("Why?", 1, "second"), ("Why?", 0, "first"), ("How?", 0, "so")]
    path = tmp_path / "recording.jsonl"
    path.write_text("".join(json.dumps({"question": q, "sample": s, "answer": a}) + "\n" for q, s, a in rows))
    return path


def prompt(question: str, shown: str = "x") -> str:
    """A teacher's prompt as the distiller writes it; the example's question is another recorded one."""
    pair = Pair("1", "1", "How?", shown)
    return load_prompt("en").messages("A Writer", [pair], question)[0]["content"]


def test_samples_are_given_in_their_order_and_then_none(recording: Path) -> None:
    given = Recording(recording)
    assert [given.answer(prompt("Why?", shown)) for shown in "abc"] == ["first", "second", None]
    assert given.answer(prompt("Where?")) is None


def test_the_same_call_gets_the_same_answer_after_a_restart_too(recording: Path, tmp_path: Path) -> None:
    kept = tmp_path / "state" / "given.jsonl"
    first = Recording(recording, kept)
    assert (first.answer(prompt("Why?", "a")), first.answer(prompt("Why?", "a"))) == ("first", "first")
    kept.write_text(kept.read_text() + '["cut sho')
    again = Recording(recording, kept)
    assert (again.answer(prompt("Why?", "a")), again.answer(prompt("Why?", "b"))) == ("first", "second")


def test_the_recording_answers_questions_of_training_only() -> None:
    recorded = {json.loads(line)["question"] for line in RECORDING.read_text(encoding="utf-8").splitlines()}
    heldout = (RECORDING.parents[1] / "heldout.txt").read_text(encoding="utf-8")
    assert len(recorded) == 163
    assert not [question for question in recorded if question in heldout]
    assert question_of(prompt("Why?")) == "Why?"
