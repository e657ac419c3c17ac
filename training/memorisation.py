"""How much of the generated text is copied, letter by letter, out of the training answers."""

from collections.abc import Iterable, Sequence

import numpy as np

WINDOW = 50
"""Characters in a row that count as copied."""
_FACTOR = np.uint64(1_000_003)


def verbatim_share(texts: Iterable[str], training_texts: Sequence[str], window: int = WINDOW) -> float:
    """Share of the texts' windows of `window` characters that stand in one training text; whitespace runs count as one space."""
    known = np.unique(np.concatenate([np.empty(0, np.uint64), *(_window_hashes(text, window) for text in training_texts)]))
    asked = np.concatenate([np.empty(0, np.uint64), *(_window_hashes(text, window) for text in texts)])
    return float(np.isin(asked, known).mean()) if len(asked) else 0.0


def _window_hashes(text: str, window: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """A 64-bit polynomial hash of each window of the text (of windows, not positions, so equal windows have equal hashes)."""
    characters = np.frombuffer(" ".join(text.split()).encode("utf-32-le", errors="replace"), np.uint32).astype(np.uint64)
    count = len(characters) - window + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    hashes = np.zeros(count, np.uint64)
    for offset in range(window):
        hashes = hashes * _FACTOR + (characters[offset : offset + count] + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    return hashes
