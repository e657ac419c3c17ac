"""Near duplicates: texts that share most of their character or word runs.

Candidates come from MinHash signatures (Broder 1997), compared all against one in numpy; each candidate's Jaccard
similarity is then computed exactly, so nothing is called a duplicate by chance.
"""

import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ghostwriter.tokens import cjk_share, ngrams, words

Shingles = frozenset[int]
Signature = npt.NDArray[np.uint32]
PERMUTATIONS = 64
MARGIN = 0.2
"""How far below the threshold an estimate may lie and still be checked exactly: three standard deviations at 64 permutations."""
QUESTION_THRESHOLD = 0.6
ANSWER_THRESHOLD = 0.6
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


def jaccard(left: Sketch, right: Sketch) -> float:
    """Shared shingles over all shingles, 0 to 1."""
    return len(left.shingles & right.shingles) / len(left.shingles | right.shingles)


class NearDuplicates:
    """A growing set of texts that says whether another text is a near duplicate of one of them."""

    def __init__(self, sketch: Callable[[str], Sketch], threshold: float, texts: Iterable[tuple[str, str]] = ()) -> None:
        self.sketch = sketch
        self._threshold = threshold
        self._texts: list[tuple[str, str]] = []
        self._signatures: Signature = np.empty((256, PERMUTATIONS), dtype=np.uint32)
        for key, text in texts:
            self.add(key, text)

    def add(self, key: str, text: str, sketch: Sketch | None = None) -> None:
        """Remember `text` under `key`; its sketch may be handed in when it is known."""
        if len(self._texts) == len(self._signatures):
            self._signatures = np.concatenate([self._signatures, np.empty_like(self._signatures)])
        self._signatures[len(self._texts)] = (sketch or self.sketch(text)).signature
        self._texts.append((key, text))

    def find_all(self, text: str, sketch: Sketch | None = None) -> list[str]:
        """The keys of all texts that `text` is a near duplicate of, in the order they were added."""
        own = sketch or self.sketch(text)
        estimates = (self._signatures[: len(self._texts)] == own.signature).mean(axis=1)
        candidates = np.flatnonzero(estimates >= self._threshold - MARGIN)
        return [key for key, other in (self._texts[index] for index in candidates) if jaccard(own, self.sketch(other)) >= self._threshold]

    def find(self, text: str, sketch: Sketch | None = None) -> str | None:
        """The key of the first text that `text` is a near duplicate of."""
        return next(iter(self.find_all(text, sketch)), None)


def questions_index(texts: Iterable[tuple[str, str]] = ()) -> NearDuplicates:
    """An index of (key, question) pairs."""
    return NearDuplicates(question_sketch, QUESTION_THRESHOLD, texts)


def answers_index(texts: Iterable[tuple[str, str]] = ()) -> NearDuplicates:
    """An index of (key, answer) pairs."""
    return NearDuplicates(answer_sketch, ANSWER_THRESHOLD, texts)


def _sketch(pieces: Iterable[str]) -> Sketch:
    shingles = frozenset(zlib.crc32(piece.encode()) for piece in pieces)
    values = np.fromiter(shingles, dtype=np.uint64, count=len(shingles))
    hashed = (_COEFFICIENTS[0] * values + _COEFFICIENTS[1]) % _PRIME
    return Sketch(shingles, hashed.min(axis=1).astype(np.uint32))
