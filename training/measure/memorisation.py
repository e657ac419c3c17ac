"""How much of the generated text is copied, letter by letter, out of the training text.

Runs of whitespace count as one space. The writer's own held-out answers, measured in the same way, are the
chance baseline: a writer repeats their own phrases. Copies of 50 characters are what Carlini et al. 2023
("Quantifying memorization") count as memorised.

One suffix array over the training texts and all answers gives the longest match at every character
(matching statistics, Chang and Lawler 1994): its neighbours in that order share the longest beginnings.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from pydivsufsort import divsufsort, kasai  # type: ignore[import-untyped]

from training.bootstrap import Measured, mean, ratio

WINDOW = 50
"""Characters in a row that count as copied."""
_SEPARATOR = 0
"""Stands behind every text, so that no match goes on into the next one."""
_CODE_POINTS = 0x110000

Integers = np.ndarray[tuple[int], np.dtype[np.int64]]


def memorisation(answers: Mapping[str, Sequence[str]], training_texts: Sequence[str]) -> dict[str, dict[str, Measured]]:
    """Arm to its two figures; all arms together, so that the training texts are sorted once.

    `verbatim_share`: of all windows of 50 characters, those that stand in one training text.
    `longest_copy`: characters of the longest string an answer shares with one training text, as a
    mean over answers.
    """
    texts = [text for of_arm in answers.values() for text in of_arm]
    matches = iter(longest_matches(texts, training_texts))
    found = {arm: [next(matches) for _ in of_arm] for arm, of_arm in answers.items()}
    return {arm: _figures(of_arm) for arm, of_arm in found.items()}


def longest_matches(texts: Sequence[str], training_texts: Sequence[str]) -> list[Integers]:
    """For each text, at each of its characters, how many from there on stand in one training text."""
    asked, trained = [_plain(text) for text in texts], [_plain(text) for text in training_texts]
    letters = _dense("\0".join([*trained, *asked, ""]))
    start = sum(len(text) + 1 for text in trained)
    bounds = np.cumsum([0, *(len(text) + 1 for text in asked)])
    matched = _matches_behind(letters, start)
    room = np.concatenate([np.arange(len(text), -1, -1) for text in asked] or [np.zeros(0, np.int64)])
    inside = np.minimum(matched, room)  # what goes on past a text's end has met a separator
    return [inside[first : last - 1] for first, last in pairwise(bounds.tolist())]


def _figures(matches: Sequence[Integers]) -> dict[str, Measured]:
    copied = [int((longest >= WINDOW).sum()) for longest in matches]
    windows = [max(0, len(longest) - WINDOW + 1) for longest in matches]
    return {
        "verbatim_share": ratio(copied, windows),
        "longest_copy": mean([int(longest.max(initial=0)) for longest in matches]),
    }


def _plain(text: str) -> str:
    return " ".join(text.replace("\0", " ").split())


def _dense(text: str) -> "np.ndarray[tuple[int], np.dtype[np.uint8 | np.uint16 | np.uint32]]":
    """Code points, renumbered in order without gaps, in as few bytes as they need; separators are 0."""
    points = np.frombuffer(text.encode("utf-32-le", errors="surrogatepass"), np.uint32)
    seen = np.zeros(_CODE_POINTS, bool)
    seen[points] = True
    seen[_SEPARATOR] = True
    numbers = np.cumsum(seen) - 1
    return numbers.astype(np.min_scalar_type(int(numbers[-1])))[points]


def _matches_behind(letters: "np.ndarray[tuple[int], np.dtype[np.generic]]", start: int) -> Integers:
    """At each place from `start` on, the longest match with what begins before `start`."""
    if len(letters) == start or start == 0:
        return np.zeros(len(letters) - start, np.int64)
    order = divsufsort(letters)
    shared = kasai(letters, order)  # with the next in order
    is_trained = order < start
    before = _since_trained(is_trained, np.concatenate([[0], shared[:-1]]))
    behind = _since_trained(is_trained[::-1], shared[::-1])[::-1]
    asked = ~is_trained
    matched = np.zeros(len(letters) - start, np.int64)
    matched[order[asked] - start] = np.maximum(before, behind)[asked]
    return matched


def _since_trained(is_trained: "np.ndarray[tuple[int], np.dtype[np.bool_]]", shared: Integers) -> Integers:
    """In order, the least of `shared` (with the one before) since the last trained suffix.

    A running minimum for each stretch: each lies lower than the one before by more than any length.
    """
    longest = int(shared.max(initial=0)) + 1
    stretch = np.cumsum(is_trained, dtype=np.int64)
    levels = np.where(is_trained, longest, shared) - stretch * (longest + 1)
    least: Integers = np.minimum.accumulate(levels) + stretch * (longest + 1)
    return np.where(stretch > 0, least, 0)
