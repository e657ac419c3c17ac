"""From ballots to figures: how often an arm is taken for the writer, who is preferred to whom, and how sure that is.

A reader's answers resemble each other, and so do those to one question, so neither counts as many. Strengths are Bradley and
Terry's (1952), with percentiles of a bootstrap that draws questions and readers anew, both at once (Owen 2007, "The pigeonhole
bootstrap"; it errs on the wide side). Shares have Wilson's interval of as many votes as theirs are worth: their number over the design
effect (Kish 1965), from two bootstraps, of questions and of readers (Cameron, Gelbach and Miller 2011). Where all said the same,
there is nothing to bootstrap: a question counts as one vote.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import evalica
import numpy as np

from ghostwriter.judging.gate import WRITER
from ghostwriter.panel.agreement import MIN_ALPHA, Asked, agreement
from ghostwriter.panel.ballot import Ballot
from ghostwriter.panel.power import pairs_needed
from ghostwriter.panel.readers import Reader, believed, judge_readers
from training.bootstrap import LEVEL
from training.contract import Estimate, Frozen

RESAMPLES = 500
Z = 1.959964
"""Of 95 %."""
PRIOR = 1.0
"""One tie of each two arms that met, so that one which won every time is not infinitely good."""

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


class Share(Frozen):
    """How often the first of two was chosen, of so many votes, and how many more votes would show it (None: over 5,000)."""

    share: Estimate
    votes: int
    needed: int | None


class PanelResult(Frozen):
    """What readers said."""

    panel: str
    trials: int
    readers: tuple[Reader, ...]
    turing: dict[str, Share]
    """Arm to the share of its pairs with the writer's own answer in which it was taken for the writer (a half: nobody can tell)."""
    pairs: dict[str, Share]
    """`ONE beside OTHER` to the share in which ONE sounds more like the writer."""
    alpha: dict[Asked, float]
    strengths: dict[Asked, dict[str, Estimate]]
    """Arm, best first, to its chance of being chosen beside one of middling strength."""
    no_ranks: dict[Asked, str]
    """Why there are no strengths."""

    @property
    def believed(self) -> int:
        """Readers who are not flagged."""
        return sum(not reader.flagged for reader in self.readers)


def sum_up(panel: str, trials: int, ballots: Sequence[Ballot], seed: int = 0) -> PanelResult:
    """All figures, of the readers who can be believed."""
    readers = judge_readers(ballots)
    kept = believed(ballots, readers)
    draws = _draw(kept, seed)
    alpha = {asked: found for asked in _ASKED if (found := agreement(kept, asked)) is not None}
    no_ranks = {asked: why for asked in _ASKED if (why := _no_ranks(kept, alpha.get(asked)))}
    strengths = {asked: _strengths(kept, draws.by_both, asked) for asked in _ASKED if asked not in no_ranks}
    return PanelResult(
        panel=panel,
        trials=trials,
        readers=tuple(readers),
        turing=_turing(kept, draws),
        pairs=_pairs(kept, draws),
        alpha=alpha,
        strengths=strengths,
        no_ranks=no_ranks,
    )


_ASKED: tuple[Asked, ...] = ("voice", "quality")


def _no_ranks(ballots: Sequence[Ballot], alpha: float | None) -> str:
    if not ballots:
        return "no reader can be believed"
    if alpha is None:
        return "no trial was judged by two readers"
    return f"no agreement: alpha is {alpha:.2f}, {MIN_ALPHA} is needed" if alpha < MIN_ALPHA else ""


@dataclass(frozen=True)
class _Draws:
    """How often each ballot counts, (1 + RESAMPLES, ballots): all once in the first row, then with questions and readers drawn anew."""

    by_question: Numbers
    by_reader: Numbers

    @property
    def by_both(self) -> Numbers:
        return self.by_question * self.by_reader


def _draw(ballots: Sequence[Ballot], seed: int) -> _Draws:
    random = np.random.default_rng(seed)

    def drawn(clusters: Sequence[object]) -> Numbers:
        names, members = np.unique(np.array(clusters), return_inverse=True)
        shares = [1 / max(1, len(names))] * len(names)
        counts = random.multinomial(len(names), shares, size=RESAMPLES)[:, members] if len(names) else np.ones((RESAMPLES, 0))
        return np.concatenate([np.ones((1, len(members))), counts])

    return _Draws(drawn([ballot.question for ballot in ballots]), drawn([ballot.reader for ballot in ballots]))


def _turing(ballots: Sequence[Ballot], draws: _Draws) -> dict[str, Share]:
    arms = {ballot.arms[1 - ballot.arms.index(WRITER)] for ballot in ballots if ballot.kind == "turing"}
    return {
        arm: _share(ballots, draws, [place for place, each in enumerate(ballots) if each.kind == "turing" and arm in each.arms], arm)
        for arm in sorted(arms)
    }


def _pairs(ballots: Sequence[Ballot], draws: _Draws) -> dict[str, Share]:
    met: dict[tuple[str, str], list[int]] = {}
    for place, ballot in enumerate(ballots):
        if ballot.kind == "arms":
            one, other = sorted(ballot.arms)
            met.setdefault((one, other), []).append(place)
    return {f"{one} beside {other}": _share(ballots, draws, places, one) for (one, other), places in sorted(met.items())}


def _share(ballots: Sequence[Ballot], draws: _Draws, places: Sequence[int], arm: str) -> Share:
    """Of the ballots at `places`, those that chose `arm`."""
    chosen = np.array([ballots[place].chosen == arm for place in places], np.float64)
    questions, readers = ({getattr(ballots[place], of) for place in places} for of in ("question", "reader"))
    share, votes = float(chosen.mean()), len(places)
    spreads = [
        _variance(weights[1:, places], chosen) * len(clusters) / max(1, len(clusters) - 1)
        for weights, clusters in ((draws.by_question, questions), (draws.by_reader, readers))
    ]
    effect = _design_effect(share, votes, spreads) if 0 < share < 1 else votes / len(questions)
    low, high = wilson(share, votes / effect)
    needed = pairs_needed(round(share, 3))
    missing = None if needed is None else max(0, int(np.ceil(needed * effect)) - votes)
    return Share(share=Estimate(value=share, low=low, high=high, questions=len(questions)), votes=votes, needed=missing)


def wilson(share: float, votes: float) -> tuple[float, float]:
    """Wilson's 95 % interval (1927) of a share of so many independent votes."""
    middle, spread = share + Z**2 / (2 * votes), Z * np.sqrt(share * (1 - share) / votes + Z**2 / (4 * votes**2))
    low, high = ((middle + side * spread) / (1 + Z**2 / votes) for side in (-1, 1))
    return max(0.0, float(low)), min(1.0, float(high))


def _variance(weights: Numbers, chosen: Numbers) -> float:
    totals = weights.sum(axis=1)
    return float(np.var((weights @ chosen)[totals > 0] / totals[totals > 0]))


def _design_effect(share: float, votes: int, spreads: Sequence[float]) -> float:
    """How many times the variance of independent votes: that over questions and that over readers, less what is in both."""
    independent = share * (1 - share) / votes
    return max(1.0, max(spreads) / independent, sum(spreads) / independent - 1)


def _strengths(ballots: Sequence[Ballot], weights: Numbers, asked: Asked) -> dict[str, Estimate]:
    """Every arm's and the writer's, the strongest first."""
    arms = sorted({arm for ballot in ballots for arm in ballot.arms})
    results = [(*ballot.arms, _winner(ballot, asked)) for ballot in ballots]
    kinds = sorted(set(results))
    members = np.array([kinds.index(result) for result in results])
    counts = np.stack([weights[:, members == kind].sum(axis=1) for kind in range(len(kinds))], axis=1)
    met = [pair for pair in combinations(arms, 2) if any(set(pair) == set(kind[:2]) for kind in kinds)]
    found = np.array([_chances(arms, kinds, row, met) for row in counts])
    questions = len({ballot.question for ballot in ballots})
    estimates = {arm: _estimate(found[:, place], questions) for place, arm in enumerate(arms)}
    return dict(sorted(estimates.items(), key=lambda entry: -entry[1].value))


def _chances(
    arms: Sequence[str], kinds: Sequence[tuple[str, str, evalica.Winner]], counts: Numbers, met: Sequence[tuple[str, str]]
) -> list[float]:
    """Of each arm, to be chosen beside one of the middling (geometric mean) strength."""
    xs, ys = ([pair[side] for pair in (*kinds, *met)] for side in (0, 1))
    winners = [*(kind[2] for kind in kinds), *(evalica.Winner.Draw for _ in met)]
    scores = evalica.bradley_terry(xs, ys, winners, weights=[*counts, *([PRIOR] * len(met))]).scores
    return [float(scores[arm] / (1 + scores[arm])) for arm in arms]


def _winner(ballot: Ballot, asked: Asked) -> evalica.Winner:
    said = ballot.voice if asked == "voice" else ballot.quality
    return {0: evalica.Winner.X, 0.5: evalica.Winner.Draw, 1: evalica.Winner.Y}[said]


def _estimate(values: Numbers, questions: int) -> Estimate:
    """The first of `values` with the interval of the others."""
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=float(values[0]), low=float(low), high=float(high), questions=questions)
