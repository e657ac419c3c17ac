"""Votes as rows to train on: TRL's own formats, and nothing of what is held out."""

import json
from collections import Counter
from pathlib import Path

import pytest
from datasets import List, Value, load_dataset

from ghostwriter.__main__ import main
from ghostwriter.database import open_database
from ghostwriter.distilling.corpus import heldout_pairs
from ghostwriter.home import Home
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import write_snapshot
from ghostwriter.votes.export import FORMATS, export_votes
from ghostwriter.votes.records import all_votes, keep_chat
from ghostwriter.writer import Writer
from tests.distill_case import pairs
from tests.vote_case import QUESTION, SAMPLING, comparison, vote

PROMPT = [{"role": "user", "content": QUESTION}]
ANSWER = "The keeper fills the lamp with oil each evening, trims its wick, and waits until the flame stands still."
HELD = [Pair("p1", "q1", "What do gulls say to the fog at night?", ANSWER)]


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": text}]


def test_a_preference_is_the_better_answer_and_the_other_whichever_side_it_stood_on(home: Home) -> None:
    engine = open_database(home.database_url)
    vote(engine, "a", "good", "poor")
    vote(engine, "b", "poor", "good")
    vote(engine, "tie", "x", "y")
    vote(engine, "bad", "x", "y")
    vote(engine, "a", "same", "same")
    vote(engine, "a", "good", " ")
    made = export_votes(all_votes(engine, "tester"), HELD, "preference")
    assert made.rows == ({"prompt": PROMPT, "chosen": said("good"), "rejected": said("poor")},) * 2
    assert made.dropped == Counter(no_preference=2, same_answer=1, empty_answer=1)


def test_kto_takes_both_answers_of_every_vote(home: Home) -> None:
    engine = open_database(home.database_url)
    for choice in ("a", "b", "tie", "bad"):
        vote(engine, choice, "x", "y")  # type: ignore[arg-type]
    vote(engine, "bad", "z", "z")
    made = export_votes(all_votes(engine, "tester"), HELD, "kto")
    labels = [(row["completion"][0]["content"], row["label"]) for row in made.rows]
    wanted = [("x", True), ("y", False), ("x", False), ("y", True), ("x", True), ("y", True), ("x", False), ("y", False), ("z", False)]
    assert labels == wanted
    assert all(row["prompt"] == PROMPT for row in made.rows)


@pytest.mark.parametrize(
    "planted",
    [
        {"question": "What do the gulls say to the fog at night?"},
        {"a": ANSWER.replace("each evening", "every evening")},
        {"b": ANSWER},
    ],
    ids=["near its question", "near its answer", "its answer"],
)
def test_a_vote_on_or_near_a_heldout_question_or_answer_is_left_out(home: Home, planted: dict[str, str]) -> None:
    engine = open_database(home.database_url)
    vote(engine, "a", **planted)
    for form in ("preference", "kto"):
        made = export_votes(all_votes(engine, "tester"), HELD, form)  # type: ignore[arg-type]
        assert (made.rows, made.dropped) == ((), Counter(near_heldout=1))


def test_the_command_writes_what_trl_takes_and_counts_what_it_left_out(
    home: Home, writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stem, rows = writer.stem, pairs(40)
    heldout = heldout_pairs(writer, write_snapshot(home.answers(stem), "answers", stem, {"answers.jsonl": rows}))
    assert 0 < len(heldout) < 40
    engine = open_database(home.database_url)
    vote(engine, "a", writer=stem)
    vote(engine, "tie", writer=stem)
    vote(engine, "b", writer=stem, question=heldout[0].question)
    talked = comparison()
    keep_chat(engine, stem, "ann", talked.messages, talked.a, SAMPLING)
    engine.dispose()
    files = {form: tmp_path / f"{form}.jsonl" for form in ("preference", "kto", "chats")}
    for form, path in files.items():
        assert main(["votes", stem, "--format", form, str(path), "--home", str(home.path)]) == 0
    told = capsys.readouterr().out
    assert "1 rows of 1 votes" in told
    assert told.count("Left out: 1 votes on a held-out question, or near one.") == 2
    assert "4 rows of 2 votes" in told
    assert json.loads(files["chats"].read_text()) == {"messages": [*PROMPT, *said("Because of oil.")]}
    preference, kto = (load_dataset("json", data_files=str(files[form]), split="train", cache_dir=tmp_path) for form in FORMATS)
    messages = List({"role": Value("string"), "content": Value("string")})
    assert preference.features == {"prompt": messages, "chosen": messages, "rejected": messages}
    assert kto.features == {"prompt": messages, "completion": messages, "label": Value("bool")}
    assert preference[0]["chosen"] == said("Because of oil.")


def test_without_a_snapshot_nothing_is_written(home: Home, writer: Writer, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["votes", writer.stem, "--format", "kto", str(tmp_path / "out.jsonl"), "--home", str(home.path)]) == 1
    assert "nobody knows which questions are held out" in capsys.readouterr().err
    assert not (tmp_path / "out.jsonl").exists()
    assert main(["votes", writer.stem, "--home", str(home.path)]) == 0
    assert "0 votes for Lao Cheng: 0 a, 0 b, 0 tie, 0 bad" in capsys.readouterr().out
