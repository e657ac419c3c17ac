"""Which readers can be believed: those who tell the untrained base from the writer, and agree with the others more than a coin would."""

from collections import Counter
from collections.abc import Sequence

from scipy.stats import binom, binomtest  # type: ignore[import-untyped]

from ghostwriter.judging.gate import WRITER
from ghostwriter.panel.agreement import MIN_ALPHA, agreement
from ghostwriter.panel.ballot import Ballot
from training.contract import Frozen

MIN_ATTENTION = 0.9
"""Share of the attention checks that a reader must get right."""
CHANCE, ODDS = 0.05, 3.0
"""Who agrees with the others as often as a coin might (so likely, two-sided), and for whom a coin is so many times likelier than a
reader who agrees as the others do among themselves, is taken for one."""
MOST_TYPICAL = 0.95
"""Nobody is held against readers who always agree."""


class Reader(Frozen):
    """One reader: how much was answered, how many attention checks were right, and why the rest does not count, if it does not."""

    name: str
    answered: int
    checks: int
    right: int
    taken_in: float | None
    """Share of the pairs with the writer's own answer in which an arm's text was taken for it."""
    flagged: str = ""


def judge_readers(ballots: Sequence[Ballot]) -> list[Reader]:
    """Every reader; those who fail the attention checks are flagged first, then those who answer like a coin beside the others."""
    names = list(dict.fromkeys(ballot.reader for ballot in ballots))
    readers = [_reader(name, [ballot for ballot in ballots if ballot.reader == name]) for name in names]
    heeded = [ballot for ballot in ballots if ballot.kind != "check" and _is_kept(readers, ballot.reader)]
    return [reader if reader.flagged else reader.model_copy(update={"flagged": _coin(reader.name, heeded)}) for reader in readers]


def believed(ballots: Sequence[Ballot], readers: Sequence[Reader]) -> list[Ballot]:
    """The ballots of readers who are not flagged."""
    return [ballot for ballot in ballots if _is_kept(readers, ballot.reader)]


def _is_kept(readers: Sequence[Reader], name: str) -> bool:
    return any(reader.name == name and not reader.flagged for reader in readers)


def _reader(name: str, own: Sequence[Ballot]) -> Reader:
    checks = [ballot.chosen == WRITER for ballot in own if ballot.kind == "check"]
    beside = [ballot.chosen != WRITER for ballot in own if ballot.kind == "turing"]
    flagged = ""
    if checks and sum(checks) < MIN_ATTENTION * len(checks):
        flagged = f"took the untrained base for the writer in {len(checks) - sum(checks)} of {len(checks)} attention checks"
    share = sum(beside) / len(beside) if beside else None
    return Reader(name=name, answered=len(own), checks=len(checks), right=sum(checks), taken_in=share, flagged=flagged)


def _coin(name: str, ballots: Sequence[Ballot]) -> str:
    """Why a reader may as well have thrown a coin; empty where the others do not agree enough to say so."""
    others = [ballot for ballot in ballots if ballot.reader != name]
    alpha = agreement(others, "voice")
    if alpha is None or alpha < MIN_ALPHA:
        return ""
    agreed, judged = _with_most(name, ballots)
    among = [_with_most(other, others) for other in {ballot.reader for ballot in others}]
    typical = min(MOST_TYPICAL, sum(agree for agree, _ in among) / max(1, sum(number for _, number in among)))
    if not judged or binomtest(agreed, judged, 0.5).pvalue <= CHANCE:
        return ""
    odds = binom.pmf(agreed, judged, 0.5) / binom.pmf(agreed, judged, typical)
    return f"agrees with most of the others in {agreed} of {judged} trials, as a coin might" if odds > ODDS else ""


def _with_most(name: str, ballots: Sequence[Ballot]) -> tuple[int, int]:
    """In how many trials a reader chose what most of the others did, of those in which the others were not divided evenly."""
    sides: dict[str, Counter[int]] = {}
    for ballot in ballots:
        if ballot.reader != name:
            sides.setdefault(ballot.trial, Counter())[ballot.voice] += 1
    own = [(ballot.voice, sides.get(ballot.trial, Counter())) for ballot in ballots if ballot.reader == name]
    agreed = [count[voice] > count[1 - voice] for voice, count in own if count[0] != count[1]]
    return sum(agreed), len(agreed)
