"""The judge over real HTTP with the real client: both orders, failures counted, paid once, under the cap."""

import json
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from ghostwriter.database import open_database
from ghostwriter.distilling.dataset import pair_row
from ghostwriter.errors import BudgetExceeded
from ghostwriter.home import Home
from ghostwriter.judging.ask_judge import judge_content
from ghostwriter.judging.content import Content
from ghostwriter.model_settings import Judge
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import write_snapshot
from ghostwriter.teacher.client import TeacherKeyRefused
from ghostwriter.teacher.ledger import SendRow
from tests.distill_case import PRICES, endpoint, make_writer
from tests.ghostwriter.judging.evaluations import evaluation
from tests.teacher_server import TeacherScript, TeacherServer
from training.contract import ArmRequest, EvaluateRequest, EvaluateResult

JUDGE = Judge(questions=10, agreement_pairs=6)
SHOWN = re.compile(r"<answer_A>\n(.*)\n</answer_A>\n\n<answer_B>\n(.*)\n</answer_B>", re.DOTALL)
Messages = list[dict[str, str]]


def by_marks(messages: Messages) -> str:
    """A judge that counts the marks put into answers, and knows the writer's own by their beginning and end."""
    found = SHOWN.search(messages[0]["content"])
    assert found
    first, second = (text.count("GOOD") + 10 * bool(re.fullmatch(r"Writer's own .* it ends here\.", text)) for text in found.groups())
    question = re.search(r"question (\d+)", messages[0]["content"])
    if question and first == second == 10:  # both the writer's own: the one about the question is better
        first, second = (f"number {question[1]} " in text for text in found.groups())
    return "A is so, B is so.\nVerdict: " + ("A" if first > second else "B" if second > first else "tie")


@pytest.fixture
def case(home: Home) -> tuple[EvaluateRequest, EvaluateResult]:
    """An evaluation of ten questions: the candidate is better on six, worse on two, even on one and the same on one."""
    rows = [
        pair_row(Pair(f"a{index}", f"q{index}", f"question {index}", f"Writer's own number {index} and words it ends here."))
        for index in range(8)
    ]
    dataset = write_snapshot(home.datasets("tester"), "dataset", "tester", {"direct.jsonl": rows})
    marks = [("GOOD a", "b")] * 6 + [("a", "GOOD b")] * 2 + [("a", "b"), ("same", "same")]
    folder = home.path / "evaluation"
    folder.mkdir()
    lines = [
        json.dumps({"question": f"held out {index}", "writer": "w", "distilled": f"{index} {mine}", "champion-v3": f"{index} {theirs}"})
        for index, (mine, theirs) in enumerate(marks)
    ]
    (folder / "samples.jsonl").write_text("\n".join(lines) + "\n")
    arms = (ArmRequest(name="base"), ArmRequest(name="distilled", adapter=Path("x")))
    request = EvaluateRequest(run_folder=folder, dataset=dataset, base="b", arms=arms, candidate="distilled", models=home.models)
    return request, evaluation().model_copy(update={"samples": folder / "samples.jsonl"})


def judged(
    home: Home, case: tuple[EvaluateRequest, EvaluateResult], teacher: TeacherServer, judge: Judge = JUDGE, cap: Decimal | None = None
) -> Content:
    writer = make_writer(budget={**PRICES, "cap": cap}, outage_seconds=1)
    return judge_content(writer, home, judge, *case, "champion-v3", endpoint(teacher))


def script(answer: Callable[[Messages], str] = by_marks, fault: Callable[[int], str | None] = lambda number: None) -> TeacherScript:
    return TeacherScript(answer=answer, fault=fault)


def test_every_pair_is_shown_in_both_orders_and_the_figures_are_right(home: Home, case: tuple[EvaluateRequest, EvaluateResult]) -> None:
    with TeacherServer(script()) as teacher:
        content = judged(home, case, teacher)
        shown = [SHOWN.search(messages[0]["content"]) for messages in teacher.prompts]
    assert (content.wins, content.ties, content.losses) == (6, 2, 2)
    assert content.preferred
    assert content.preferred.value == pytest.approx(0.7)
    assert content.preferred.low < 0.7 < content.preferred.high
    assert (content.agreement, content.agreement_pairs, content.withheld) == (1.0, 6, None)
    texts = [found.groups() for found in shown if found]
    assert len(texts) == 2 * (9 + 6)  # the question with two equal answers is not asked
    assert {(second, first) for first, second in texts} == set(texts)


def test_a_second_run_buys_nothing_and_says_the_same(home: Home, case: tuple[EvaluateRequest, EvaluateResult]) -> None:
    with TeacherServer(script()) as teacher:
        first = judged(home, case, teacher)
        paid = teacher.completions
        assert judged(home, case, teacher) == first
        assert teacher.completions == paid == 30
    assert Decimal(first.spent) > 0
    with open_database(home.database_url).connect() as connection:
        sends = connection.execute(select(SendRow.writer, SendRow.state)).all()
    assert set(sends) == {("tester-judge", "paid")}


def test_failures_and_unreadable_replies_are_left_out_and_counted(home: Home, case: tuple[EvaluateRequest, EvaluateResult]) -> None:
    def sometimes(messages: Messages) -> str:
        return "I would rather not say." if "held out 0" in messages[0]["content"] else by_marks(messages)

    with TeacherServer(script(sometimes, lambda number: "400" if number == 20 else None)) as teacher:
        content = judged(home, case, teacher)
    assert content.excluded["no verdict in the reply"] == 1
    assert sum(content.excluded.values()) + sum(content.agreement_excluded.values()) == 2
    assert content.preferred
    assert content.preferred.questions == 10 - sum(content.excluded.values())
    assert content.preferred.value > 0.6
    rows = [json.loads(line) for line in (case[0].run_folder / "verdicts.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * (10 + 6)
    assert sum(row["verdict"] == "no verdict in the reply" for row in rows) == 2


def test_a_judge_that_goes_by_the_order_is_withheld(home: Home, case: tuple[EvaluateRequest, EvaluateResult]) -> None:
    with TeacherServer(script(lambda messages: "Verdict: A")) as teacher:
        content = judged(home, case, teacher)
    assert content.preferred is None
    assert content.agreement == 0.5
    assert content.order_dependent == 9


def test_the_cap_is_kept_and_what_was_bought_is_not_bought_again(home: Home, case: tuple[EvaluateRequest, EvaluateResult]) -> None:
    with TeacherServer(script()) as teacher:
        with pytest.raises(BudgetExceeded):
            judged(home, case, teacher, cap=Decimal("0.02"))
        bought = teacher.completions
        assert 0 < bought < 30
        judged(home, case, teacher, cap=Decimal(5))
        assert teacher.completions == 30


def test_a_wrong_key_is_said_at_once(home: Home, case: tuple[EvaluateRequest, EvaluateResult]) -> None:
    with TeacherServer(script()) as teacher, pytest.raises(TeacherKeyRefused, match="Put a key"):
        judge_content(make_writer(), home, JUDGE, *case, "champion-v3", endpoint(teacher, key="sk-wrong-000000"))


def test_the_held_out_answers_of_the_writer_are_never_shown(home: Home, case: tuple[EvaluateRequest, EvaluateResult]) -> None:
    samples = case[1].samples
    samples.write_text(samples.read_text().replace('"writer": "w"', '"writer": "SECRET HELD OUT"'))
    with TeacherServer(script()) as teacher:
        judged(home, case, teacher)
        assert "SECRET HELD OUT" not in json.dumps(teacher.prompts)
