"""Near duplicates: texts that share most of their character or word runs.

Candidates come from MinHash signatures (Broder 1997) of one byte each (b-bit MinHash, Li and König 2010), compared all against one
in numpy; each candidate's Jaccard similarity is then computed exactly, so nothing is called a duplicate by chance.
"""

import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from ghostwriter.tokens import cjk_share, words

Shingles = npt.NDArray[np.uint32]
"""Sorted, each once."""
Signature = npt.NDArray[np.uint8]
PERMUTATIONS = 64
MARGIN = 0.2
"""How far below the threshold an estimate may lie and still be checked exactly: three standard deviations at 64 permutations."""
QUESTION_THRESHOLD = 0.6
ANSWER_THRESHOLD = 0.6
MOST_SHINGLES = 20_000
"""Of one text; the rest of it is not looked at."""
KEPT_SKETCHES = 16_384
"""An answer is looked at when it is kept, and again when the dataset is checked for leaks."""
_RANDOM = np.random.default_rng(0)
_MULTIPLIERS = _RANDOM.integers(1, 2**64, size=(PERMUTATIONS, 1), dtype=np.uint64) | np.uint64(1)
_OFFSETS = _RANDOM.integers(0, 2**64, size=(PERMUTATIONS, 1), dtype=np.uint64)
_PLACES = _RANDOM.integers(1, 2**64, size=3, dtype=np.uint64) | np.uint64(1)
"""Odd 64-bit numbers: what is multiplied by them wraps, and its upper half is the hash (multiply-shift, Dietzfelbinger et al. 1997)."""
_UPPER_HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Sketch:
    """A text's shingles and their MinHash signature."""

    shingles: Shingles
    signature: Signature


def question_sketch(text: str) -> Sketch:
    """Of character trigrams (bigrams of Chinese) without spaces and punctuation: short texts differ in a word or two."""
    found = words(text)
    return _sketch("".join(found), 2 if cjk_share(found) > 0.5 else 3)


@lru_cache(maxsize=KEPT_SKETCHES)
def answer_sketch(text: str) -> Sketch:
    """Of runs of three words (three Chinese characters)."""
    return _sketch(words(text), 3)


def jaccard(left: Shingles, right: Shingles) -> float:
    """Shared shingles over all shingles, 0 to 1."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


class NearDuplicates:
    """A growing set of texts that says whether another text is a near duplicate of one of them."""

    def __init__(self, sketch: Callable[[str], Sketch], threshold: float, texts: Iterable[tuple[str, str]] = ()) -> None:
        self.sketch = sketch
        self._threshold = threshold
        self._keys: list[str] = []
        self._shingles: list[Shingles] = []
        self._signatures: Signature = np.empty((PERMUTATIONS, 256), dtype=np.uint8)
        for key, text in texts:
            self.add(key, text)

    def add(self, key: str, text: str, sketch: Sketch | None = None) -> None:
        """Remember `text` under `key`; its sketch may be handed in when it is known."""
        sketch = sketch or self.sketch(text)
        if len(self._keys) == self._signatures.shape[1]:
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)], axis=1)
        self._signatures[:, len(self._keys)] = sketch.signature
        self._keys.append(key)
        self._shingles.append(sketch.shingles)

    def find_all(self, text: str, sketch: Sketch | None = None) -> list[str]:
        """The keys of all texts that `text` is a near duplicate of, in the order they were added."""
        own = sketch or self.sketch(text)
        same = self._signatures[:, : len(self._keys)] == own.signature[:, np.newaxis]
        agreeing = same.view(np.uint8).sum(axis=0, dtype=np.uint8)
        candidates = np.flatnonzero(agreeing >= (self._threshold - MARGIN) * PERMUTATIONS)
        return [self._keys[index] for index in candidates if jaccard(own.shingles, self._shingles[index]) >= self._threshold]

    def find(self, text: str, sketch: Sketch | None = None) -> str | None:
        """The key of the first text that `text` is a near duplicate of."""
        return next(iter(self.find_all(text, sketch)), None)


def questions_index(texts: Iterable[tuple[str, str]] = ()) -> NearDuplicates:
    """An index of (key, question) pairs."""
    return NearDuplicates(question_sketch, QUESTION_THRESHOLD, texts)


def answers_index(texts: Iterable[tuple[str, str]] = ()) -> NearDuplicates:
    """An index of (key, answer) pairs."""
    return NearDuplicates(answer_sketch, ANSWER_THRESHOLD, texts)


def repeated_answers(texts: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Of (key, answer) pairs, the keys whose answer nearly repeats an earlier one, each with the key of that original."""
    originals, repeats = answers_index(), {}
    for key, text in texts:
        sketch = originals.sketch(text)
        if original := originals.find(text, sketch):
            repeats[key] = original
        else:
            originals.add(key, text, sketch)
    return repeats


def _sketch(tokens: Sequence[str], length: int) -> Sketch:
    """Of all runs of `length` tokens; of the one run of all of them when there are fewer."""
    hashes = np.array([zlib.crc32(token.encode("utf-8", "replace")) for token in tokens[:MOST_SHINGLES]] or [0], dtype=np.uint64)
    length = min(length, len(hashes))
    runs = sum(_PLACES[place] * hashes[place : len(hashes) - length + 1 + place] for place in range(length))
    shingles = np.unique(np.asarray(runs >> _UPPER_HALF, dtype=np.uint32))
    least = (_MULTIPLIERS * shingles.astype(np.uint64) + _OFFSETS).min(axis=1)
    return Sketch(shingles, (least >> _UPPER_HALF).astype(np.uint8))
