"""Which of a writer's answers are near duplicates of each other: MinHash finds candidates, exact Jaccard similarity decides."""

import re
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

THRESHOLD = 0.7
"""Jaccard similarity of character 5-grams from which two answers count as one."""
CANDIDATE_THRESHOLD = 0.5
"""Lower, so that the estimate's error (about 0.09 at 128 permutations) misses no pair at the threshold."""
PERMUTATIONS = 128
SHINGLE = 5
MOST_SHINGLES = 20_000

Shingles = NDArray[np.uint32]


def shingles(text: str) -> Shingles:
    """Sorted hashes of all runs of five characters, without case, spaces and punctuation; of Chinese and English alike."""
    plain = re.sub(r"[\W_]+", "", text).lower()[: MOST_SHINGLES + SHINGLE]
    runs = {zlib.crc32(plain[start : start + SHINGLE].encode("utf-8", "replace")) for start in range(max(1, len(plain) - SHINGLE + 1))}
    return np.array(sorted(runs), dtype=np.uint32)


def jaccard(left: Shingles, right: Shingles) -> float:
    """Shared shingles over all shingles, 0 to 1."""
    shared = len(np.intersect1d(left, right, assume_unique=True))
    return shared / (len(left) + len(right) - shared)


def near_duplicates(texts: Iterable[tuple[str, str]], threshold: float = THRESHOLD) -> dict[str, str]:
    """Of (key, text) pairs, the keys whose text nearly repeats one that came before, each with the key it repeats."""
    from datasketch import MinHash, MinHashLSH  # takes seconds to import, and whoever only exports needs none of it

    index = MinHashLSH(threshold=min(CANDIDATE_THRESHOLD, threshold), num_perm=PERMUTATIONS)
    kept: dict[str, Shingles] = {}
    repeats = {}
    for key, text in texts:
        own = shingles(text)
        signature = MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=int)
        signature.update_batch(own.tolist())
        original = next((other for other in sorted(index.query(signature)) if jaccard(own, kept[other]) >= threshold), None)
        if original is not None:
            repeats[key] = original
            continue
        index.insert(key, signature)
        kept[key] = own
    return repeats
