"""Sorts what the teacher gave: accepted, rejected with a reason, failed with a code. Every planned call ends in exactly one of them."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pydantic import BaseModel, ConfigDict

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.distilling.filters import Candidate, Judge, Lengths, clean_answer
from ghostwriter.errors import GhostwriterError
from ghostwriter.similarity import answers_index
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.health import Failure, Outcome
from ghostwriter.teacher.ledger import Answer
from ghostwriter.words.catalogue import Language

Reason = Callable[[Candidate], str | None]


class CountsDiffer(GhostwriterError):
    """A call was lost or counted twice: a defect of this program."""

    code = "counts"


class Counts(BaseModel):
    """Where the planned calls went."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    planned: int
    accepted: int
    rejected: dict[str, int]
    failed: dict[str, int]

    def __str__(self) -> str:
        rejected = ", ".join(f"{reason} {number}" for reason, number in sorted(self.rejected.items()))
        failed = ", ".join(f"{code} {number}" for code, number in sorted(self.failed.items()))
        return f"{self.planned} calls: {self.accepted} accepted; rejected: {rejected or 'none'}; failed: {failed or 'none'}."

    def check(self) -> None:
        """Raise CountsDiffer unless planned = accepted + rejected + failed."""
        rejected, failed = sum(self.rejected.values()), sum(self.failed.values())
        if self.planned != self.accepted + rejected + failed:
            raise CountsDiffer(
                f"{self.planned} calls were planned, but {self.accepted} accepted + {rejected} rejected + {failed} failed = "
                f"{self.accepted + rejected + failed}. This is a defect; the ledger holds every answer."
            )


@dataclass(frozen=True, slots=True)
class Accepted:
    """An answer that becomes a training row."""

    call: Call
    text: str


class Harvest:
    """Judges answers as they come, and settles near duplicates in the order of the plan, so that a rerun keeps the same ones.

    `reason` says why an answer is rejected (`filters.Judge` by default); with `distinct` near duplicates of one another are.
    """

    def __init__(self, corpus: Corpus, language: Language, reason: Reason | None = None, *, distinct: bool = True) -> None:
        self.accepted: list[Accepted] = []
        self.rejected: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.planned = 0
        self.cost = Decimal(0)
        """Of all answers that were asked for, whenever they were bought."""
        self._reason = reason or Judge(language, Lengths.of([pair.answer for pair in corpus.training])).reason
        self._distinct = distinct
        self._heldout = answers_index((pair.id, pair.answer) for pair in corpus.heldout)
        self._seen = answers_index()
        self._open: dict[str, str | None] = {}
        """Texts that passed the filters by key; None for those that did not, until the batch is settled."""

    def deliver(self, call: Call, outcome: Outcome) -> None:
        """Take one outcome in, whenever it comes."""
        if isinstance(outcome, Failure):
            self.failed[outcome.code] += 1
            self._open[call.key] = None
            return
        self.cost += outcome.cost
        text = clean_answer(outcome.text)
        reason = self._reason(self._candidate(call, outcome, text))
        if reason:
            self.rejected[reason] += 1
        self._open[call.key] = None if reason else text

    def settle(self, calls: Sequence[Call]) -> None:
        """All of `calls` were delivered: keep those that are no near duplicates of a held-out answer or of one before."""
        self.planned += len(calls)
        for call in calls:
            text = self._open.pop(call.key)
            if text is None:
                continue
            sketch = self._seen.sketch(text)
            if self._heldout.find(text, sketch):
                self.rejected["heldout_leak"] += 1
            elif self._distinct and self._seen.find(text, sketch):
                self.rejected["near_duplicate"] += 1
            else:
                self._seen.add(call.key, text, sketch)
                self.accepted.append(Accepted(call, text))

    def counts(self) -> Counts:
        """The counts of all settled calls, checked."""
        counts = Counts(planned=self.planned, accepted=len(self.accepted), rejected=dict(self.rejected), failed=dict(self.failed))
        counts.check()
        return counts

    def _candidate(self, call: Call, answer: Answer, text: str) -> Candidate:
        return Candidate(text, answer.finish_reason, call.question.text, tuple(pair.answer for pair in call.examples))
