"""Each recorded answer is given once; the same call gets the same answer, also from a server that starts again."""

import json
from collections import Counter
from pathlib import Path

import pytest

from demo.recording import Recording, question_of
from demo.teacher import RECORDING, REWRITES
from ghostwriter.distilling.filters import Candidate
from ghostwriter.distilling.prompt import load_plain_prompt, load_prompt
from ghostwriter.distilling.rewrite import rewrite_reason
from ghostwriter.pairs import Pair
from tests.distill_case import demo_pairs


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


def test_an_answer_to_be_rewritten_gets_its_recorded_rewrite_which_may_be_used_as_notes() -> None:
    given = Recording(RECORDING, rewrites=REWRITES)
    rows = {row["id"]: row for row in demo_pairs("lamplight")}
    twins = [json.loads(line) for line in REWRITES.read_text(encoding="utf-8").splitlines()]
    reasons: Counter[str | None] = Counter()
    for twin in twins:
        pair = Pair(twin["id"], "q", twin["question"], rows[twin["id"]]["text"])
        (message,) = load_plain_prompt("en").messages("A Writer", [pair], pair.question)
        assert given.answer(message["content"]) == twin["plain"]
        reasons[rewrite_reason("en", Candidate(twin["plain"], "stop", pair.question, (pair.answer,)))] += 1
    assert reasons[None] >= 150, reasons
    elsewhere = load_plain_prompt("en").messages("A Writer", [Pair("x", "q", "Where?", "There.")], "Where?")
    assert given.answer(elsewhere[0]["content"]) is None


def test_the_recording_answers_questions_of_training_only() -> None:
    recorded = {json.loads(line)["question"] for line in RECORDING.read_text(encoding="utf-8").splitlines()}
    heldout = (RECORDING.parents[1] / "heldout.txt").read_text(encoding="utf-8")
    assert len(recorded) == 163
    assert not [question for question in recorded if question in heldout]
    assert question_of(prompt("Why?")) == "Why?"
