"""The rule of docs/voices.md, fixed before the first run: what a voice must show, and what so many questions cannot tell.

Every figure is a mean over seeds first and over questions then, so intervals are those of questions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Literal

import numpy as np

from training.bootstrap import Measured, RatioOfSums, difference, estimate, ratio
from training.contract import Estimate

Figures = Mapping[str, Measured]
"""Of one voice, by measure."""
Verdict = Literal["reached", "missed", "undecided", "no gap"]
GAP_SHARES = {"style": 0.25, "style_grammar": 0.2}
"""View to the share of the gap between `distilled` and the writer that is to be closed."""
VISIBLE = 2.8
"""Standard errors of a difference that is found 80 times in 100 (two sides, 5 %)."""
MOST_ABOVE_WRITER = {"rep4": 0.05, "verbatim_share": 0.02}
MOST_UNFINISHED = 0.2
MOST_FALL = 0.1
"""Of the share of other tasks solved. The limits are the gate's."""


@dataclass(frozen=True)
class Goal:
    """What one view says of a voice beside `distilled`."""

    gain: Estimate
    wanted: float
    visible: float
    """The smallest difference that these questions show four times in five."""
    verdict: Verdict


def over_seeds(runs: Sequence[Figures]) -> dict[str, Measured]:
    """The figures of one voice: parts and wholes of each question are means over its seeds."""
    return {name: _mean([run[name] for run in runs]) for name in runs[0] if all(name in run for run in runs)}


def of_questions(measured: Measured, places: Sequence[int]) -> Measured:
    """The same figure over some of the questions."""
    parts, wholes = _sums(measured)
    return ratio(parts[list(places)], wholes[list(places)])


def goal(view: str, voice: Measured, distilled: Measured, writer: Measured) -> Goal:
    """Whether a voice closes its share of the gap: by the interval of what it has more than that, or less.

    Where `distilled` may be as near as the writer herself there is nothing to close.
    """
    share = GAP_SHARES[view]
    beyond = Measured(
        lambda counts: voice.statistic(counts) - (1 - share) * distilled.statistic(counts) - share * writer.statistic(counts),
        voice.questions,
    )
    gap = difference(writer, distilled)
    found: Verdict = verdict(estimate(beyond)) if gap.low > 0 else "no gap"
    return Goal(difference(voice, distilled), share * gap.value, visible_difference(voice, distilled), found)


def verdict(beyond: Estimate) -> Verdict:
    """An interval above 0, below it, or around it."""
    return "reached" if beyond.low >= 0 else "missed" if beyond.high < 0 else "undecided"


def visible_difference(voice: Measured, other: Measured) -> float:
    """The smallest difference that so many questions show four times in five, by the spread of those seen."""
    (parts, wholes), (rival, whole) = _sums(voice), _sums(other)
    spread = float(np.std(parts / wholes - rival / whole, ddof=1))
    return VISIBLE * spread / sqrt(voice.questions)


def guards(voice: Figures, distilled: Figures, writer: Figures) -> dict[str, str]:
    """Guard to `holds`, `fails`, or `open` where the limit lies within the interval."""
    room = {name: _below(difference(voice[name], writer[name]), most) for name, most in MOST_ABOVE_WRITER.items()}
    found = {**room, "unfinished_share": _below(estimate(voice["unfinished_share"]), MOST_UNFINISHED)}
    if "ability" in voice:  # `few-shot` was not asked other things
        found["ability"] = _below(difference(distilled["ability"], voice["ability"]), MOST_FALL)
    return found


def is_better(voice: Figures, distilled: Figures) -> bool:
    """Whether both views say for certain that it is more like the writer."""
    return all(difference(voice[view], distilled[view]).low > 0 for view in GAP_SHARES)


def _below(found: Estimate, most: float) -> str:
    return "holds" if found.high <= most else "fails" if found.low > most else "open"


def _mean(runs: Sequence[Measured]) -> Measured:
    sums = [_sums(run) for run in runs]
    return ratio(np.mean([parts for parts, _ in sums], axis=0), np.mean([wholes for _, wholes in sums], axis=0))


def _sums(measured: Measured) -> tuple[np.ndarray, np.ndarray]:
    assert isinstance(measured.statistic, RatioOfSums)
    return measured.statistic.parts, measured.statistic.wholes
