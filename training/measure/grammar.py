"""Masked tokens and their n-gram models: which small words, marks and breaks a writer puts where, whatever the text is about.

Every word that could tell the topic becomes a class (its ending, a capital), as in POSnoise (Halvani et al., arXiv 2005.06605) but
without a tagger; Chinese characters that are no function word become one. What is left is read by an n-gram model with
interpolated Kneser-Ney smoothing (Chen and Goodman 1999), the grammar model of LambdaG (Nini et al., arXiv 2403.08462).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from training.measure.style_features import CHINESE, ENGLISH, MARKS

ORDER = 5
DISCOUNT = 0.75
START, END, BREAK, NUMBER, OTHER = "<s>", "</s>", "<break>", "<number>", "<other>"
ENDINGS = ("ing", "ed", "ly", "er", "est", "s")
CLASSES = (*ENDINGS, "word", "Name", "字")
_SIGNS = tuple(mark for mark in MARKS if not mark.isspace())
_PIECES = re.compile(
    "|".join(sorted((word for word in CHINESE if len(word) > 1), key=len, reverse=True))
    + r"|[\u4e00-\u9fff]|\d+|[^\W\d_\u4e00-\u9fff]+(?:['’][^\W\d_]+)*|\n\s*\n|\n|[^\w\s]"
)
TOKENS = (START, END, BREAK, NUMBER, OTHER, *CLASSES, *dict.fromkeys((*ENGLISH, *CHINESE, *_SIGNS)))
_IDS = {token: number for number, token in enumerate(TOKENS)}

Ids = np.ndarray[tuple[int], np.dtype[np.int64]]
Numbers = np.ndarray[tuple[int], np.dtype[np.float64]]


def masked(text: str) -> list[str]:
    """The tokens of a text, topic taken out: `Well, my dear Penhallow` is `well , my word Name`."""
    return [_mask(piece) for piece in _PIECES.findall(text.strip())]


def ids_of(text: str) -> Ids:
    """The masked tokens as numbers, between ORDER - 1 starts and an end."""
    ids = [_IDS[START]] * (ORDER - 1) + [_IDS[token] for token in masked(text)] + [_IDS[END]]
    return np.array(ids, np.int64)


def _mask(piece: str) -> str:
    plain = piece.lower().replace("’", "'")
    if plain in _IDS:
        return plain
    if piece[0] == "\n":
        return BREAK
    if piece[0].isdecimal():
        return NUMBER
    if "\u4e00" <= piece[0] <= "\u9fff":
        return "字"
    if not piece[0].isalpha():
        return OTHER
    if piece[0].isupper():
        return "Name"
    return next((ending for ending in ENDINGS if plain.endswith(ending)), "word")


@dataclass(frozen=True)
class Grams:
    """Every run of `ORDER` tokens in some texts as one number, first token first, and the text each belongs to."""

    codes: Ids
    texts: Ids

    @classmethod
    def of(cls, texts: Sequence[Ids]) -> "Grams":
        """The runs that end at each token behind the starts, so one for each token and one for the end."""
        windows = [np.lib.stride_tricks.sliding_window_view(ids, ORDER) for ids in texts]
        belongs = np.repeat(np.arange(len(texts)), [len(window) for window in windows])
        powers = len(TOKENS) ** np.arange(ORDER - 1, -1, -1, dtype=np.int64)
        return cls(np.concatenate(windows) @ powers, belongs)


class Grammar:
    """An n-gram model of runs of tokens (Grams.codes). Frozen after its making; `log10` is of base 10."""

    def __init__(self, codes: Ids) -> None:
        """Counts at the full order; at lower orders how many different tokens stand before a run (continuation counts)."""
        size = len(TOKENS)
        grams, counts = np.unique(codes, return_counts=True)
        self._levels: list[_Level] = []
        for order in range(ORDER, 0, -1):
            self._levels.append(_Level(grams, counts.astype(np.float64), size))
            grams, counts = np.unique(grams % size ** (order - 1), return_counts=True)

    def log10(self, codes: Ids) -> Numbers:
        """The probability of the last token of each run after those before it."""
        size = len(TOKENS)
        found = np.full(len(codes), 1 / size)
        for order, level in zip(range(1, ORDER + 1), reversed(self._levels), strict=True):
            found = level.probability(codes % size**order, found)
        logarithms: Numbers = np.log10(found)
        return logarithms


class _Level:
    """Counts of runs of one order, and of what stands before their last token."""

    def __init__(self, grams: Ids, counts: Numbers, size: int) -> None:
        self._grams, self._counts, self._size = grams, counts, size

    @cached_property
    def _contexts(self) -> tuple[Ids, Numbers, Numbers]:
        """Contexts, how often each was seen, and how many different tokens came after it."""
        contexts, first, kinds = np.unique(self._grams // self._size, return_index=True, return_counts=True)
        totals = np.add.reduceat(self._counts, first)
        return contexts, totals, kinds.astype(np.float64)

    def probability(self, codes: Ids, lower: Numbers) -> Numbers:
        """Discounted counts, and the rest shared out as the next lower order says; that alone after an unseen context."""
        contexts, totals, kinds = self._contexts
        seen, total = _look_up(contexts, totals, codes // self._size)
        _, after = _look_up(contexts, kinds, codes // self._size)
        _, count = _look_up(self._grams, self._counts, codes)
        above = np.maximum(count - DISCOUNT, 0) + DISCOUNT * after * lower
        return np.where(seen, above / np.maximum(total, 1), lower)


def _look_up(keys: Ids, values: Numbers, wanted: Ids) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], Numbers]:
    """Whether each of `wanted` is among the sorted `keys`, and its value, else 0."""
    if not len(keys):
        return np.zeros(len(wanted), np.bool_), np.zeros(len(wanted))
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    found = keys[places] == wanted
    return found, np.where(found, values[places], 0.0)
