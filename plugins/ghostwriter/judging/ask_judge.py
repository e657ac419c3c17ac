"""Has a model compare the candidate's answers with its rival's, through the teacher's client, ledger and budget.

judge_content(writer, home, evaluation, endpoint)    what it found; a rerun buys nothing twice

Its calls stand in the ledger under `<writer>-judge`, so they never mix with what is trained on.
"""

import json
import logging
import random
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import uvloop

from ghostwriter.database import open_database
from ghostwriter.distilling.dataset import DIRECT_FILE
from ghostwriter.distilling.plan import call_facts, parameters, settings_hash
from ghostwriter.distilling.prompt import Prompt, fill
from ghostwriter.home import Home
from ghostwriter.judging.content import ORDERS, Compared, Content, Preference, agreement_pairs, read_verdict, sum_up
from ghostwriter.lock import only_one
from ghostwriter.model_settings import PROMPTS, Judge, Teacher as Settings
from ghostwriter.pairs import Question
from ghostwriter.snapshot import read_rows
from ghostwriter.teacher.budget import Message, Prices, Purse, money
from ghostwriter.teacher.buy import Buyer
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.client import Endpoint, Teacher
from ghostwriter.teacher.health import Outcome
from ghostwriter.teacher.journal import Journal
from ghostwriter.teacher.ledger import Answer, Ledger, request_key
from ghostwriter.teacher.month import Month
from ghostwriter.teacher.throttle import Throttle
from ghostwriter.writer import Writer
from training.contract import EvaluateRequest, EvaluateResult

log = logging.getLogger(__name__)
logging.getLogger("httpx2").setLevel(logging.WARNING)  # at INFO it logs each call

SEED = 0
VERDICTS_FILE = "verdicts.jsonl"


def judge_content(
    writer: Writer, home: Home, judge: Judge, request: EvaluateRequest, result: EvaluateResult, rival: str, endpoint: Endpoint
) -> Content:
    """Compare the candidate of a finished evaluation with `rival`; the verdicts are written beside its samples.

    Raises BudgetExceeded, TeacherError and its kinds; what was bought is in the ledger then, and a rerun goes on from there.
    """
    pairs = heldout_pairs(result, rival, judge.questions)
    known = agreement_pairs(_direct(request.dataset), judge.agreement_pairs, SEED)
    engine = open_database(home.database_url)
    try:
        with only_one(engine, name := writer.judge_ledger, "judging"):
            ledger = Ledger(engine, name)
            ledger.close_interrupted()
            plan = JudgePlan(writer, judge, [*known, *(pair for pair in pairs if pair.better != pair.other)])
            run = _run_name(writer, plan)
            budget, before = judge.budget or writer.budget, ledger.spending(run).total
            purse = Purse(budget.cap, before, Month(writer, engine, run, before))
            outcomes = uvloop.run(_collect(plan, ledger, run, endpoint, Prices.of(budget), purse))
            spent = ledger.spending(run).total
    finally:
        engine.dispose()
    verdicts = _verdicts(pairs, outcomes)
    _write(request.run_folder / VERDICTS_FILE, [*pairs, *known], verdicts, outcomes)
    return sum_up(pairs, known, verdicts, judge.min_agreement, model=plan.teacher.model, rival=rival, spent=money(spent))


def heldout_pairs(result: EvaluateResult, rival: str, number: int) -> list[Compared]:
    """A seeded choice of `number` held-out questions (or all) with the candidate's and the rival's answers, in the file's order."""
    samples = [json.loads(line) for line in result.samples.read_text(encoding="utf-8").splitlines()]
    chosen = sorted(random.Random(SEED).sample(range(len(samples)), min(number, len(samples))))
    return [
        Compared(f"heldout-{index}", samples[index]["question"], samples[index][result.candidate], samples[index][rival])
        for index in chosen
    ]


class JudgePlan:
    """All calls of a run, and what each sends: what a Planner is to distillation."""

    def __init__(self, writer: Writer, judge: Judge, pairs: Sequence[Compared]) -> None:
        self.teacher = judge_settings(writer.teacher, judge)
        self.parameters = parameters(self.teacher)
        self.settings = settings_hash(self.parameters)
        text = (PROMPTS / "judge" / f"{writer.language}.md").read_text(encoding="utf-8")
        self.prompt = Prompt(f"judge/{writer.language}", sha256(text.encode()).hexdigest()[:12], text, "", "")
        self._messages: dict[str, list[Message]] = {}
        self.calls = [self._call(pair, order) for pair in pairs for order in ORDERS]
        self.planned = len(self.calls)

    def messages(self, call: Call) -> list[Message]:
        """What the judge is sent."""
        return self._messages[call.key]

    def facts(self, call: Call) -> dict[str, Any]:
        """What the ledger keeps of a call beside its answer."""
        return call_facts(call, self.parameters["model"], self.settings, self.prompt)

    def _call(self, pair: Compared, order: int) -> Call:
        first, second = (pair.better, pair.other) if order == 0 else (pair.other, pair.better)
        content = fill(self.prompt.before, question=pair.question, first=first, second=second)
        messages: list[Message] = [{"role": "user", "content": content}]
        key = request_key(self.parameters, messages, order)
        self._messages[key] = messages
        return Call(key, Question(pair.id, pair.question), order, ())


def judge_settings(teacher: Settings, judge: Judge) -> Settings:
    """The teacher's settings with the judge's in their place. Failed calls never end the run: they are counted."""
    changes = {
        "model": judge.model or teacher.model,
        "max_tokens": judge.max_tokens,
        "temperature": 0.0,
        "parameters": judge.parameters,
        "failed_share": 1.0,
    }
    return teacher.model_copy(update=changes)


async def _collect(
    plan: JudgePlan, ledger: Ledger, run: str, endpoint: Endpoint, prices: Prices, purse: Purse
) -> dict[tuple[str, int], Outcome]:
    """The outcome of every call, by pair and order: from the ledger what it holds, the rest bought."""
    settings = plan.teacher
    known = ledger.answers(call.key for call in plan.calls)
    found: dict[str, Outcome] = dict(known)
    missing = list({call.key: call for call in plan.calls if call.key not in known}.values())
    log.info("The judge compares %d times; %d verdicts are known, %d are asked for.", plan.planned, len(known), len(missing))
    throttle = Throttle(
        settings.concurrency, requests_per_minute=settings.requests_per_minute, tokens_per_minute=settings.tokens_per_minute
    )
    connection = Teacher(endpoint, plan.parameters, timeout_seconds=settings.timeout_seconds, concurrency=settings.concurrency)
    async with connection as teacher, Journal(ledger, run) as journal:
        buyer = Buyer(teacher, journal, purse, throttle, plan, settings, prices)
        await buyer.buy(missing, lambda call, outcome: found.__setitem__(call.key, outcome))
    return {(call.question.id, call.sample): found[call.key] for call in plan.calls}


def _verdicts(pairs: Sequence[Compared], outcomes: dict[tuple[str, int], Outcome]) -> dict[tuple[str, int], Preference | str]:
    """Every outcome as a preference or a fault. Two answers that are the same are a tie without asking."""
    same: dict[tuple[str, int], Preference | str] = {
        (pair.id, order): "tie" for pair in pairs if pair.better == pair.other for order in ORDERS
    }
    return {**same, **{place: _read(outcome) for place, outcome in outcomes.items()}}


def _read(outcome: Outcome) -> Preference | str:
    if isinstance(outcome, Answer):
        return read_verdict(outcome.text) or "no verdict in the reply"
    return outcome.code


def _write(path: Path, pairs: Sequence[Compared], verdicts: dict[tuple[str, int], Preference | str], outcomes: dict[Any, Outcome]) -> None:
    lines = []
    for pair in pairs:
        for order in ORDERS:
            outcome = outcomes.get((pair.id, order))
            reply = outcome.text if isinstance(outcome, Answer) else ""
            row = {"id": pair.id, "question": pair.question, "order": order, "verdict": verdicts[pair.id, order], "reply": reply}
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    path.write_text("".join(lines), encoding="utf-8")


def _direct(dataset: Path) -> list[tuple[str, str, str]]:
    rows = read_rows(dataset, DIRECT_FILE)
    return [(str(row["id"]), row["messages"][-2]["content"], row["messages"][-1]["content"]) for row in rows]


def _run_name(writer: Writer, plan: JudgePlan) -> str:
    """Names a run by what it compares, so that a retry goes on under the same cap."""
    parts = (writer.stem, "judge", plan.prompt.hash, plan.settings, plan.teacher.model, *(call.key for call in plan.calls))
    return sha256("\n".join(parts).encode()).hexdigest()[:16]
