"""From a judge's verdicts to one figure: how often the candidate's answer is preferred to its rival's for what it says.

Each pair is shown in both orders. A question counts when both verdicts can be read: 1 for the candidate, 0 for the rival, a half
for a tie or for two verdicts that follow the order instead of the answers. What failed is left out and counted. How far the judge
can be trusted is measured beside it, on pairs whose better answer is known.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from pydantic import BaseModel, ConfigDict

from training.contract import Estimate

Preference = Literal["first", "second", "tie"]
Verdicts = Mapping[tuple[str, int], Preference | str]
"""By pair and order (0: better or candidate first, 1: second): the preference, or what kept it from being known."""
ORDERS = (0, 1)
LEAST_JUDGED = 0.5
"""Share of the questions that must have two verdicts for the figure to be given."""
_VERDICT = re.compile(r"(?:verdict|结论)\W*(A|B|tie|平手)(?![A-Za-z])", re.IGNORECASE)
_MEANING: dict[str, Preference] = {"a": "first", "b": "second", "tie": "tie", "平手": "tie"}


@dataclass(frozen=True)
class Compared:
    """Two answers to one question. `better` is the candidate's, or in an agreement pair the one known to be better."""

    id: str
    question: str
    better: str
    other: str


class Content(BaseModel):
    """What the judge found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preferred: Estimate | None
    """Share of questions on which the candidate's answer is preferred, ties half; None when it is withheld."""
    agreement: float | None
    """Share of the pairs with a known answer that the judge got right, ties half; None when it read none of them."""
    withheld: str | None
    wins: int
    ties: int
    losses: int
    order_dependent: int
    """Of the ties, those where the two orders contradicted each other."""
    excluded: dict[str, int]
    """Questions left out, by what went wrong."""
    agreement_pairs: int
    agreement_excluded: dict[str, int]
    model: str
    rival: str
    spent: str
    """What the run has cost so far, in the vendor's currency, perhaps paid calls included."""


def read_verdict(text: str) -> Preference | None:
    """The last verdict a reply states; None when it states none."""
    found = _VERDICT.findall(text)
    return _MEANING[found[-1].lower()] if found else None


def agreement_pairs(rows: Sequence[tuple[str, str, str]], number: int, seed: int) -> list[Compared]:
    """Up to `number` pairs made of (id, question, answer): the answer itself, and in turn one that is worse for certain.

    Worse are the answer to another question, its own words in random order, and its beginning again and again. Rows are taken
    in the order of a seeded hash of their ids, so that a corpus that grows keeps most pairs, and their verdicts are in the ledger.
    """
    ordered = sorted(rows, key=lambda row: sha256(f"{seed} {row[0]}".encode()).digest())
    pairs = []
    for index, (name, question, answer) in enumerate(ordered[:number]):
        spoilt = _SPOIL[index % len(_SPOIL)](answer, ordered[index - 1][2], f"{seed} {name}")
        pairs.append(Compared(f"agreement-{name}", question, answer, spoilt))
    return [pair for pair in pairs if pair.better != pair.other]


def points(pairs: Sequence[Compared], verdicts: Verdicts) -> tuple[dict[str, float], Counter[str], int]:
    """Points of the better answer by pair, pairs left out by reason, and how many of the ties were two orders in contradiction."""
    found: dict[str, float] = {}
    excluded: Counter[str] = Counter()
    contradictions = 0
    for pair in pairs:
        both = [_point(verdicts[pair.id, order], order) for order in ORDERS]
        numbers = [point for point in both if isinstance(point, float)]
        if len(numbers) < len(ORDERS):
            excluded[next(point for point in both if isinstance(point, str))] += 1
            continue
        found[pair.id] = sum(numbers) / len(numbers)
        contradictions += sorted(numbers) == [0.0, 1.0]
    return found, excluded, contradictions


def sum_up(
    pairs: Sequence[Compared], known: Sequence[Compared], verdicts: Verdicts, least_agreement: float, *, model: str, rival: str, spent: str
) -> Content:
    """The figure, or why it is withheld, from the verdicts on all pairs and on those whose better answer is known."""
    from training.bootstrap import estimate_share

    found, excluded, contradictions = points(pairs, verdicts)
    right, agreement_excluded, _ = points(known, verdicts)
    agreement = sum(right.values()) / len(right) if right else None
    withheld = _withheld(len(found), len(pairs), agreement, least_agreement)
    values = list(found.values())
    return Content(
        preferred=None if withheld else estimate_share(values),
        agreement=agreement,
        withheld=withheld,
        wins=sum(value > 0.5 for value in values),
        ties=sum(value == 0.5 for value in values),
        losses=sum(value < 0.5 for value in values),
        order_dependent=contradictions,
        excluded=dict(excluded),
        agreement_pairs=len(right),
        agreement_excluded=dict(agreement_excluded),
        model=model,
        rival=rival,
        spent=spent,
    )


def _withheld(judged: int, asked: int, agreement: float | None, least: float) -> str | None:
    if agreement is None:
        return "the judge gave no verdict that can be read on any pair whose better answer is known"
    if agreement < least:
        return f"the judge agrees with only {agreement:.0%} of the pairs whose better answer is known, {least:.0%} are needed"
    if not judged or judged < LEAST_JUDGED * asked:
        return f"the judge gave two verdicts that can be read on only {judged} of {asked} questions"
    return None


def _point(verdict: Preference | str, order: int) -> float | str:
    """What a verdict gives the better answer, which stands first in order 0; a fault stays what it is."""
    if verdict == "tie":
        return 0.5
    if verdict not in ("first", "second"):
        return verdict
    return float((verdict == "first") == (order == 0))


def _other_answer(_answer: str, other: str, _seed: str) -> str:
    return other


def _shuffled(answer: str, _other: str, seed: str) -> str:
    words = answer.split()
    parts, between = (words, " ") if len(words) > len(answer) / 20 else (list(answer), "")
    return between.join(random.Random(seed).sample(parts, len(parts)))


def _looping(answer: str, _other: str, _seed: str) -> str:
    beginning = answer[: max(20, len(answer) // 8)]
    return " ".join([beginning] * 8)


_SPOIL: tuple[Callable[[str, str, str], str], ...] = (_other_answer, _shuffled, _looping)
