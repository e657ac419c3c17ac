"""Signs of a broken answer: loops, few distinct 2-grams, no end, no text, a length the writer does not have.

Every measure is one figure a question, so that differences can be paired. A word is what `units` finds.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from training.bootstrap import Measured, mean, ratio

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_UNITS = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:['’\-][^\W{_CJK}]+)*")
ODD = 0.05
"""Share of the writer's own answers that count as too short, and as many as too long."""


def units(text: str) -> list[str]:
    """The words of a text, lower case; each Chinese, Japanese or Korean character is one."""
    return _UNITS.findall(text.lower())


def repeated_share(text: str, size: int = 4) -> float:
    """Share of a text's `size`-grams that stood in it before: 0 for none, near 1 for a loop (rep-4 of Welleck et al. 2020)."""
    grams = _grams(units(text), size)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def longest_loop(text: str) -> int:
    """Words that do nothing but repeat the words before them, in the longest such stretch: `a b a b a b` has 4.

    A stretch counts when it repeats its pattern whole at least once. This is the loop of Holtzman et al. 2020, of any period.
    """
    words = np.unique(np.array(units(text)), return_inverse=True)[1]  # numbers are compared sooner than words
    longest = 0
    for period in range(1, len(words) // 2 + 1):
        run = _longest_run(words[period:] == words[:-period])
        if run >= period:
            longest = max(longest, run)
    return longest


def distinct(texts: Sequence[str], size: int = 2) -> Measured:
    """Distinct `size`-grams of all texts over all of them (distinct-2 of Li et al. 2016).

    As a ratio of sums: a gram that stands in k texts counts 1/k for each of them, added up in the order of the text: that of a set
    is another in every process, and so is a sum's last bit.
    """
    grams = [Counter(_grams(units(text), size)) for text in texts]
    known = Counter(gram for found in grams for gram in found)
    return ratio([sum(1 / known[gram] for gram in found) for found in grams], [found.total() for found in grams])


def degeneration(texts: Sequence[str], finished: Sequence[bool], writer: Sequence[str]) -> dict[str, Measured]:
    """All measures of an arm's answers; `writer` are the writer's answers to the same questions.

    `length_ratio` is all words over all of the writer's; `odd_length_share` the share of answers outside the middle 90 % of the
    writer's lengths (so the writer's own is about 0.1).
    """
    lengths, right_lengths = [len(units(text)) for text in texts], [len(units(text)) for text in writer]
    short, long = np.quantile(right_lengths, [ODD, 1 - ODD])
    return {
        "rep4": mean([repeated_share(text) for text in texts]),
        "distinct2": distinct(texts),
        "longest_loop": mean([longest_loop(text) for text in texts]),
        "unfinished_share": mean([float(not ended) for ended in finished]),
        "empty_share": mean([float(not text.strip()) for text in texts]),
        "length_ratio": ratio(lengths, right_lengths),
        "odd_length_share": mean([float(not short <= length <= long) for length in lengths]),
    }


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]


def _longest_run(flags: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> int:
    """Most True values in a row."""
    ends = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    return int(max(ends[1::2] - ends[::2], default=0))
