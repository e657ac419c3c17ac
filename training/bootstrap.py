"""Bootstrap 95 % intervals over held-out questions, paired: both sides of a difference see the same resampled questions.

Percentile intervals (Efron 1979). What is estimated is a function of counts: how often each question was drawn. Light: numpy
only. An interval over a handful of questions is too narrow, and that of a share which is 0 or 1 has no width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from training.contract import Estimate

RESAMPLES = 2000
LEVEL = 0.95

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.float64]]


@dataclass(frozen=True)
class RatioOfSums:
    """A statistic that can travel between processes and in files: what `ratio` and `mean` make."""

    parts: Numbers
    wholes: Numbers

    def __call__(self, counts: Numbers) -> Numbers:
        total = counts @ self.wholes
        return np.divide(counts @ self.parts, total, out=np.zeros_like(total), where=total > 0)


@dataclass(frozen=True)
class Measured:
    """A figure over `questions` questions: `statistic` takes counts (resamples, questions) to one value a resample."""

    statistic: Callable[[Numbers], Numbers]
    questions: int


def mean(values: Sequence[float] | Numbers, weights: Sequence[float] | Numbers | None = None) -> Measured:
    """The mean of one value a question, weighted if asked; 0 where all weights drawn are 0."""
    numbers = np.asarray(values, np.float64)
    shares = np.ones_like(numbers) if weights is None else np.asarray(weights, np.float64)
    return ratio(numbers * shares, shares)


def ratio(parts: Sequence[float] | Numbers, wholes: Sequence[float] | Numbers) -> Measured:
    """The sum of `parts` over the sum of `wholes`, one of each a question; 0 where the wholes drawn are all 0."""
    above, below = np.asarray(parts, np.float64), np.asarray(wholes, np.float64)
    if above.shape != below.shape:
        raise ValueError(f"{len(above)} parts and {len(below)} wholes; needs one of each a question.")

    return Measured(RatioOfSums(above, below), len(above))


def estimate(measured: Measured, seed: int = 0) -> Estimate:
    """The figure of all questions with its interval. Raises ValueError when there are none."""
    questions = measured.questions
    if questions < 1:
        raise ValueError("There are no questions to estimate anything from.")
    value = float(measured.statistic(np.ones((1, questions)))[0])
    drawn = np.random.default_rng(seed).multinomial(questions, [1 / questions] * questions, size=RESAMPLES).astype(np.float64)
    low, high = np.quantile(measured.statistic(drawn), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=value, low=float(low), high=float(high), questions=questions)


def difference(candidate: Measured, rival: Measured, seed: int = 0) -> Estimate:
    """Candidate minus rival, over the same questions in the same order. Raises ValueError when their numbers differ."""
    if candidate.questions != rival.questions:
        raise ValueError(f"{candidate.questions} questions cannot be paired with {rival.questions}.")
    return estimate(Measured(lambda counts: candidate.statistic(counts) - rival.statistic(counts), candidate.questions), seed)
