"""Invented texts of any number: words whose frequencies are Zipf's, so that counts, n-grams and near duplicates behave as with people."""

import itertools
import random

COMMON = "the a an of to and in is it you that for on with as be are not or was this but have if at by from your i he she they we"


class Author:
    """Writes texts of 100 to 900 words: in Chinese 200 to 1,800 characters, in English 500 to 4,500.

    All share the words; each author (`seed`) has an order of frequency of their own, in English behind the commonest words.
    """

    def __init__(self, seed: int, language: str) -> None:
        self._draw = random.Random(seed)
        letters = [chr(point) for point in range(0x4E00, 0x4E00 + 2500)] if language == "zh" else list("etaoinshrdlucmfwypvbgk")
        longest = 3 if language == "zh" else 9
        shared = random.Random(0)
        words = ["".join(shared.choices(letters, k=shared.randrange(1, longest))) for _ in range(20_000)]
        self._draw.shuffle(words)
        self._words = words if language == "zh" else [*COMMON.split(), *words]
        self._weights = list(itertools.accumulate(1 / (rank + 5) for rank in range(len(self._words))))
        self._space, self._end = ("", "。") if language == "zh" else (" ", ". ")

    def text(self, shortest: int = 100, longest: int = 900) -> str:
        words = self._draw.choices(self._words, cum_weights=self._weights, k=self._draw.randrange(shortest, longest))
        lines = [self._space.join(words[start : start + 17]) for start in range(0, len(words), 17)]
        return "".join(f"{line}{self._end}" for line in lines)

    def texts(self, count: int) -> list[str]:
        return [self.text() for _ in range(count)]
