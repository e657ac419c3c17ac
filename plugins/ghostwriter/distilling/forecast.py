"""What a run will buy and about what that costs, before anything is spent.

Token counts come from the ledger's own history of the same model and prompt; before there is one, from the length of the
prompts and of the writer's answers.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.distilling.filters import Candidate, Judge, Lengths, clean_answer
from ghostwriter.distilling.plan import NEVER_ASKED, Planner, reasons_to_buy
from ghostwriter.errors import GhostwriterError
from ghostwriter.model_settings import Teacher
from ghostwriter.teacher.budget import Message, Prices, Usage, money
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.ledger import Answer, Ledger, Spending
from ghostwriter.teacher.month import month_start, spent_since
from ghostwriter.tokens import estimate_tokens
from ghostwriter.writer import Writer

ENOUGH_HISTORY = 20
AGAIN_SHARE, FEW_CALLS = 0.2, 50
"""Of what the ledger holds: to buy more of it again, and more than a few calls, a person is asked first."""
TEMPLATE_TOKENS = 12
"""What a chat template typically adds to a prompt of one message."""


class BuysAgain(GhostwriterError):
    """A changed prompt, model, parameter or cleaning rule would buy much of the ledger again."""

    code = "buys_again"


class Estimate(BaseModel):
    """The plan: what there is, what the ledger holds, what must be bought and why, and its cost in the vendor's currency."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: int
    heldout: int
    questions: int = 0
    model: str = ""
    prompt: str = ""
    wanted: int = 0
    expected_calls: int = 0
    """With rejected answers asked for again as often as this teacher's earlier ones were rejected."""
    most_calls: int = 0
    in_ledger: int = 0
    to_buy: int = 0
    because: dict[str, int] = {}
    held: int = 0
    """Answers of this writer in the ledger, also those of other questions, models and prompts."""
    bought_again: int = 0
    """Of the calls to buy those that were answered before, by another model or to another prompt."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)
    worst_cost: Decimal = Decimal(0)
    """If nothing is cached, every answer is as long as allowed, and every call up to `most_calls` is needed."""
    spent: Decimal = Decimal(0)
    cap: Decimal | None = None
    month_spent: Decimal = Decimal(0)
    """By all runs of the writer, this calendar month."""
    month: Decimal | None = None
    basis: str = ""

    def __str__(self) -> str:
        if not self.wanted:
            return f"Plan: {self.pairs} pairs to train on, {self.heldout} held out; the teacher is not asked."
        why = "; ".join(f"{number} because {reason}" for reason, number in self.because.items())
        lines = [
            f"Plan: {self.wanted} answers of {self.model} (prompt {self.prompt}) to {self.questions} questions, "
            f"with {self.pairs} pairs as examples; {self.heldout} held out.",
            f"Calls: about {self.expected_calls}, at most {self.most_calls}; {self.in_ledger} are in the ledger, "
            f"{self.to_buy} to buy{': ' + why if why else ''}.",
            f"Tokens: about {self.prompt_tokens:,} in, {self.completion_tokens:,} out, from {self.basis}.",
            self._money(),
        ]
        if self.cap is not None and self.spent + self.cost > self.cap:
            lines.append("The cap will be reached before the end: the run will stop there and can be continued with a higher budget.cap.")
        if self.month is not None and self.month_spent + self.cost > self.month:
            lines.append("The month's limit will be reached before the end: the run will stop there, and goes on next month by itself.")
        return "\n".join(lines)

    def check_buys_again(self) -> None:
        """Raise BuysAgain when more than a fifth of what the ledger holds would be bought again."""
        if self.bought_again <= max(FEW_CALLS, AGAIN_SHARE * self.held):
            return
        why = "; ".join(f"{number} because {reason}" for reason, number in self.because.items() if reason != NEVER_ASKED)
        raise BuysAgain(
            f"{self.bought_again:,} answers would be bought again, where the ledger holds {self.held:,}: {why}. {self._money()} "
            "Nothing was asked. If that is meant, tick `Buy again` in the form, or run `distill` with --buy-again."
        )

    def _money(self) -> str:
        if self.to_buy and not self.worst_cost:
            return "Cost: unknown, the writer file names no prices (budget.input_price, budget.output_price)."
        cap = "none" if self.cap is None else money(self.cap)
        words = (
            f"Cost: about {money(self.cost)}, at worst {money(self.worst_cost)}; spent by this run so far {money(self.spent)}, cap {cap}"
        )
        return f"{words}." if self.month is None else f"{words}; spent this month {money(self.month_spent)} of {money(self.month)}."


SUMMED = (
    *("wanted", "expected_calls", "most_calls", "in_ledger", "to_buy", "held", "bought_again"),
    *("prompt_tokens", "completion_tokens", "cost", "worst_cost", "spent"),
)
"""Figures of purchases that are added up for a run."""


def joined(estimates: Sequence[Estimate]) -> Estimate:
    """Several purchases of one run, from one snapshot, as one plan."""
    first = estimates[0]
    totals = {name: sum((getattr(each, name) for each in estimates[1:]), getattr(first, name)) for name in SUMMED}
    because = sum((Counter(each.because) for each in estimates), Counter[str]())
    words = {name: " and ".join(dict.fromkeys(getattr(each, name) for each in estimates)) for name in ("prompt", "basis")}
    return first.model_copy(update={**totals, **words, "because": dict(because)})


def make_estimate(writer: Writer, corpus: Corpus, planner: Planner, ledger: Ledger, spent: Spending) -> Estimate:
    """Look ahead in the plan, and into the ledger; nothing is taken."""
    settings, prices = writer.teacher, Prices.of(writer.budget)
    history = ledger.history(settings.model, planner.prompt.hash, planner.shown)
    most = int(planner.wanted * settings.attempts)
    calls = planner.peek(min(most, round(planner.wanted / _accepted_share(history, corpus, writer))))
    known = ledger.known(call.key for call in calls)
    missing = [call for call in calls if call.key not in known]
    usage = _usage(missing, planner, history, corpus, settings)
    worst = sum((prices.worst(planner.messages(call), settings.longest_reply) for call in missing), Decimal(0))
    because = reasons_to_buy(missing, planner, ledger)
    return Estimate(
        pairs=len(corpus.training),
        heldout=len(corpus.heldout),
        questions=len(corpus.questions),
        model=settings.model,
        prompt=f"{planner.prompt.name} {planner.prompt.hash}",
        wanted=planner.wanted,
        expected_calls=len(calls),
        most_calls=most,
        in_ledger=len(known),
        to_buy=len(missing),
        because=because,
        held=ledger.held(),
        bought_again=sum(number for reason, number in because.items() if reason != NEVER_ASKED),
        prompt_tokens=usage.prompt,
        completion_tokens=usage.completion,
        cost=prices.cost(usage),
        worst_cost=worst * max(1, most - len(known)) / max(1, len(missing)) if missing else Decimal(0),
        spent=spent.total,
        cap=writer.budget.cap,
        month_spent=spent_since(ledger.engine, writer, month_start(datetime.now(UTC), writer.schedule.timezone)),
        month=writer.budget.month,
        basis=f"{len(history)} earlier calls" if len(history) >= ENOUGH_HISTORY else "the length of prompts and of the writer's answers",
    )


def _usage(missing: Sequence[Call], planner: Planner, history: Sequence[Answer], corpus: Corpus, settings: Teacher) -> Usage:
    """Tokens of all calls to buy."""
    calls, counted = len(missing), [answer.usage for answer in history if answer.usage]
    if len(counted) >= ENOUGH_HISTORY:
        means = [
            sum(values) / len(counted) * calls for values in zip(*((it.prompt, it.cached, it.completion) for it in counted), strict=True)
        ]
        return Usage(*map(round, means))
    prompt = sum(prompt_tokens(planner.messages(call)) for call in missing)
    length = sum(min(settings.max_tokens, estimate_tokens(pair.answer)) for pair in corpus.training) / len(corpus.training)
    return Usage(prompt=round(prompt), cached=0, completion=round((length + settings.thinking) * calls))


def prompt_tokens(messages: Sequence[Message]) -> float:
    """About how many tokens a teacher counts for a prompt."""
    return sum(estimate_tokens(message["content"]) for message in messages) + TEMPLATE_TOKENS


def _accepted_share(history: Sequence[Answer], corpus: Corpus, writer: Writer) -> float:
    """Share of earlier answers that pass the filters that need no prompt; 1 before there are enough."""
    if len(history) < ENOUGH_HISTORY:
        return 1.0
    judge = Judge(writer.language, Lengths.of([pair.answer for pair in corpus.training]))
    passed = sum(not judge.reason(Candidate(clean_answer(it.text), it.finish_reason, "", ())) for it in history)
    return max(passed / len(history), 1 / writer.teacher.attempts)
