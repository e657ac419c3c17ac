"""Near duplicates: texts that share most of their character or word runs.

Candidates come from MinHash signatures (Broder 1997) of one byte each (b-bit MinHash, Li and König 2010), compared all against one
in numpy; each candidate's Jaccard similarity is then computed exactly, so nothing is called a duplicate by chance.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
import numpy.typing as npt

from ghostwriter.tokens import cjk_share, ngrams, words

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
_PRIME = np.uint64(4_294_967_311)
_COEFFICIENTS = np.random.default_rng(0).integers(1, 2**31, size=(2, PERMUTATIONS, 1), dtype=np.uint64)


@dataclass(frozen=True)
class Sketch:
    """A text's shingles and their MinHash signature."""

    shingles: Shingles
    signature: Signature


def question_sketch(text: str) -> Sketch:
    """Of character trigrams (bigrams of Chinese) without spaces and punctuation: short texts differ in a word or two."""
    found = words(text)
    joined = "".join(found)
    n = 2 if cjk_share(found) > 0.5 else 3
    return _sketch(joined[start : start + n] for start in range(max(1, len(joined) - n + 1)))


def answer_sketch(text: str) -> Sketch:
    """Of runs of three words (three Chinese characters)."""
    found = words(text)
    return _sketch(" ".join(run) for run in ngrams(found, 3) or [tuple(found)])


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


def _sketch(pieces: Iterable[str]) -> Sketch:
    shingles = np.array(sorted({zlib.crc32(piece.encode("utf-8", "replace")) for piece in islice(pieces, MOST_SHINGLES)}), dtype=np.uint32)
    hashed = (_COEFFICIENTS[0] * shingles.astype(np.uint64) + _COEFFICIENTS[1]) % _PRIME
    return Sketch(shingles, hashed.min(axis=1).astype(np.uint8))
