"""How much of the generated text is copied, letter by letter, out of the training text; whitespace runs count as one space.

The writer's own held-out answers, measured in the same way, are the chance baseline: a writer repeats their own phrases.
Copies of 50 characters are what Carlini et al. 2023 ("Quantifying memorization") count as memorised.
"""

from collections.abc import Iterable, Sequence

import numpy as np

from training.bootstrap import Measured, mean, ratio

WINDOW = 50
"""Characters in a row that count as copied."""
_BASE = 0x9E3779B97F4A7C15
_INVERSE = pow(_BASE, -1, 2**64)

Hashes = np.ndarray[tuple[int], np.dtype[np.uint64]]


def memorisation(texts: Sequence[str], training_texts: Sequence[str]) -> dict[str, Measured]:
    """`verbatim_share`: of all windows of 50 characters, those that stand in one training text.

    `longest_copy`: characters of the longest string an answer shares with one training text, as a mean over answers.
    """
    known = _hashes_of_all(map(_Hashed, training_texts), WINDOW)
    windows = [_Hashed(text).windows(WINDOW) for text in texts]
    return {
        "verbatim_share": ratio([np.isin(asked, known).sum() for asked in windows], [len(asked) for asked in windows]),
        "longest_copy": mean(longest_copies(texts, training_texts)),
    }


def longest_copies(texts: Sequence[str], training_texts: Sequence[str]) -> list[int]:
    """For each text, characters of the longest string that it shares with one training text.

    By bisection over the length, all texts together: who shares n characters shares n - 1.
    """
    asked, trained = [_Hashed(text) for text in texts], [_Hashed(text) for text in training_texts]
    shared = np.zeros(len(asked), int)
    too_long = np.full(len(asked), max((text.length for text in asked), default=0) + 1)
    while (wide := too_long - shared > 1).any():
        middle = (shared + too_long) // 2
        for length in np.unique(middle[wide]):
            known = _hashes_of_all(trained, int(length))
            for index in np.flatnonzero(wide & (middle == length)):
                found = np.isin(asked[index].windows(int(length)), known).any()
                (shared if found else too_long)[index] = length
    return [int(length) for length in shared]


class _Hashed:
    """A text whose windows of any length have hashes at once: sums of code points times powers of an odd number, modulo 2 ** 64."""

    def __init__(self, text: str) -> None:
        points = np.frombuffer(" ".join(text.split()).encode("utf-32-le", errors="replace"), np.uint32).astype(np.uint64)
        self.length = len(points)
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((points + np.uint64(1)) * _powers(_BASE, len(points)))])
        self._shifts = _powers(_INVERSE, len(points))

    def windows(self, length: int) -> Hashes:
        """A hash of each window of `length` characters; equal windows have equal ones, wherever they stand."""
        count = max(0, self.length - length + 1)
        hashes: Hashes = (self._sums[length : length + count] - self._sums[:count]) * self._shifts[:count]
        return hashes


def _powers(base: int, count: int) -> Hashes:
    """base ** 0, base ** 1, ... modulo 2 ** 64."""
    powers = np.full(count, base, np.uint64)
    powers[:1] = 1
    return np.cumprod(powers)


def _hashes_of_all(texts: Iterable[_Hashed], length: int) -> Hashes:
    return np.unique(np.concatenate([np.empty(0, np.uint64), *(text.windows(length) for text in texts)]))
