"""Mode `inverse`: training answers are rewritten plainly, paid for once, and become notes under their questions."""

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.distilling.batch import apply_batch, open_batch
from ghostwriter.distilling.corpus import read_corpus
from ghostwriter.distilling.distill import distill, estimate
from ghostwriter.distilling.filters import Candidate
from ghostwriter.distilling.prompt import load_plain_prompt
from ghostwriter.distilling.rewrite import rewrite_reason
from ghostwriter.errors import BudgetExceeded
from ghostwriter.home import Home
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import read_manifest, read_rows
from ghostwriter.writer import Writer
from tests.batch_teacher import BatchTeacher
from tests.distill_case import PRICES, answers_of, distilled, endpoint, make_writer, pairs
from tests.teacher_server import TeacherScript, TeacherServer, invent

ANSWER = invent([{"role": "user", "content": "an answer"}], (100, 100))
PLAIN = invent([{"role": "user", "content": "its rewrite"}], (90, 90))


def plainly(messages: list[dict[str, str]]) -> str:
    """A rewrite as long as the answer it was shown; an answer of another length to any other prompt."""
    shown = messages[-1]["content"].rpartition("Answer: ")[2] if messages[-1]["content"].startswith("Rewrite") else ""
    return invent(messages, (len(shown.split()),) * 2) if shown else invent(messages)


def script(**changes: Any) -> TeacherScript:
    return TeacherScript(answer=plainly, **changes)


def inverse(folder: Path) -> list[dict[str, Any]]:
    return read_rows(folder, "inverse.jsonl")


def corpus_texts(home: Home, writer: Writer, answers: Path) -> tuple[dict[str, Pair], list[str]]:
    """The training pairs by their question's id, and all texts that are held out."""
    corpus = read_corpus(writer, answers, home)
    heldout = [text for pair in corpus.heldout for text in (pair.question, pair.answer)]
    return {pair.question_id: pair for pair in corpus.training}, heldout


def test_every_training_answer_is_rewritten_once_and_no_heldout_text_reaches_the_teacher(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(budget=PRICES)
    answers = answers_of(home, pairs(60))
    training, heldout = corpus_texts(home, writer, answers)
    with TeacherServer(script()) as teacher:
        plan = estimate(writer, home, answers, mode="inverse")
        folder = distill(writer, home, answers, endpoint(teacher), mode="inverse")
        assert distill(writer, home, answers, endpoint(teacher), mode="inverse") == folder
        sent = [message["content"] for messages in teacher.prompts for message in messages]
    assert (plan.wanted, plan.to_buy) == (len(training), len(training)) == (len(sent), teacher.completions)
    assert len(heldout) >= 8 and not [text for text in heldout for prompt in sent if text in prompt]
    assert Counter(pair.answer in prompt for pair in training.values() for prompt in sent)[True] == len(training)
    assert sent[0].startswith(load_plain_prompt("en").before)
    assert distilled(folder) == []
    facts = read_manifest(folder).facts
    assert facts["mode"] == "inverse"
    assert facts["rewrites"]["counts"]["accepted"] == len(training)
    assert Decimal(facts["cost"]["run"]) > 0


def test_rows_teach_the_way_back_to_the_writers_own_words_and_two_in_five_go_without_notes(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer()
    answers = answers_of(home, pairs(60))
    training, _ = corpus_texts(home, writer, answers)
    with TeacherServer(script()) as teacher:
        rows = inverse(distill(writer, home, answers, endpoint(teacher), mode="inverse"))
    bare = [row for row in rows if row["messages"][0]["content"] == training[row["question_id"]].question]
    noted = [row for row in rows if row not in bare]
    assert all(row["messages"][1]["content"] == training[row["question_id"]].answer for row in rows)
    assert {row["question_id"] for row in noted} == set(training)
    assert len(bare) / len(rows) == pytest.approx(0.4, abs=0.01)
    for row in noted:
        question, notes = row["messages"][0]["content"].split("\n\nNotes:\n")
        assert question == training[row["question_id"]].question
        assert notes not in row["messages"][1]["content"]
    assert {row["source"] for row in rows} == {"inverse"}


def test_a_rejected_rewrite_is_asked_for_again_and_only_that_one(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer()
    answers = answers_of(home, pairs(60))
    training, _ = corpus_texts(home, writer, answers)
    stubborn = next(iter(training.values()))

    def copies(messages: list[dict[str, str]]) -> str:
        return stubborn.answer if stubborn.answer in messages[-1]["content"] else plainly(messages)

    with TeacherServer(TeacherScript(answer=copies)) as teacher:
        folder = distill(writer, home, answers, endpoint(teacher), mode="inverse")
        again = Counter(stubborn.answer in messages[-1]["content"] for messages in teacher.prompts)
    assert again == {False: len(training) - 1, True: int(writer.teacher.attempts * len(training)) - len(training) + 1}
    own = [row["messages"][0]["content"] for row in inverse(folder) if row["question_id"] == stubborn.question_id]
    assert own == [stubborn.question]


def test_both_purchases_fill_one_dataset_under_one_cap_and_never_take_each_others_answers(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=20, budget=PRICES)
    answers = answers_of(home, pairs(60))
    with TeacherServer(script()) as teacher:
        rewritten = distill(writer, home, answers, endpoint(teacher), mode="inverse")
        bought = teacher.completions
        both = distill(writer, home, answers, endpoint(teacher), mode="inverse+distilled")
        assert teacher.completions == bought + 20
        taught = distill(writer, home, answers, endpoint(teacher), mode="distilled")
        assert teacher.completions == bought + 20
    assert (inverse(both), distilled(both)) == (inverse(rewritten), distilled(taught))
    costs = [Decimal(read_manifest(folder).facts["cost"]["run"]) for folder in (rewritten, taught, both)]
    assert costs[2] == costs[0] + costs[1]
    dear = make_writer(answers=20, budget={**PRICES, "cap": costs[0] + costs[1] / 2})
    other = Home(tmp_path / "other")
    with TeacherServer(script()) as teacher, pytest.raises(BudgetExceeded):
        distill(dear, other, answers_of(other, pairs(60)), endpoint(teacher), mode="inverse+distilled")


def test_batches_bring_rewrites_too_each_kind_in_its_own(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=20, budget=PRICES)
    answers = answers_of(home, pairs(60))
    training, _ = corpus_texts(home, writer, answers)
    with BatchTeacher(script()) as teacher:
        answered = []
        while batch := open_batch(writer, home, answers, endpoint(teacher), "inverse+distilled"):
            answered.append(apply_batch(writer, home, endpoint(teacher), batch)["answered"])
        assert answered == [len(training), 20]
        folder = distill(writer, home, answers, endpoint(teacher), mode="inverse+distilled")
        assert teacher.completions == len(training) + 20
    assert (len({row["question_id"] for row in inverse(folder)}), len(distilled(folder))) == (len(training), 20)


def test_a_rewrite_that_holds_a_heldout_answer_never_becomes_notes(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer()
    answers = answers_of(home, pairs(60))
    _, heldout = corpus_texts(home, writer, answers)

    def leaks(messages: list[dict[str, str]]) -> str:
        return max(heldout, key=len) if messages[-1]["content"].endswith(("e.", "a.", "o.")) else plainly(messages)

    with TeacherServer(TeacherScript(answer=leaks)) as teacher:
        folder = distill(writer, home, answers, endpoint(teacher), mode="inverse")
    counts = read_manifest(folder).facts["rewrites"]["counts"]
    assert counts["rejected"]["heldout_leak"] > 0
    assert not [row for row in inverse(folder) if max(heldout, key=len) in row["messages"][0]["content"]]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (PLAIN, None),
        (PLAIN[: len(PLAIN) // 4], "too_short"),
        (f"{PLAIN} {invent([{'role': 'user', 'content': 'more'}], (80, 80))}", "too_long"),
        (f"Here is the rewritten text: {PLAIN}", "meta"),
        (f"Rewritten: {PLAIN}", "meta"),
        (" ".join(ANSWER.split()[:20]) + " " + PLAIN, "copy"),
        ("I'm sorry, but I can't help. " + PLAIN, "refusal"),
    ],
)
def test_rewrites_are_measured_against_their_answer(text: str, reason: str | None) -> None:
    assert rewrite_reason("en", Candidate(text, "stop", "Why?", (ANSWER,))) == reason


def test_chinese_rewrites_are_asked_for_in_chinese() -> None:
    (message,) = load_plain_prompt("zh").messages("某人", [Pair("a", "q", "为什么？", "因为如此。")], "为什么？")
    assert message["content"].startswith("把下面的回答改写成平实、中性的文字")
    assert message["content"].endswith("问题：为什么？\n\n回答：因为如此。")
    assert rewrite_reason("zh", Candidate("改写：" + "天地玄黄宇宙洪荒秋收冬藏", "stop", "?", ("日月盈昃辰宿列张寒来暑往",))) == "meta"
