"""Signs of a broken answer: repeated 4-grams, few distinct 2-grams, odd length, no end, no text."""

import re
from collections.abc import Iterable, Sequence

_CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_UNITS = re.compile(rf"[{_CJK}]|[^\W{_CJK}]+(?:['’\-][^\W{_CJK}]+)*")


def units(text: str) -> list[str]:
    """The words of a text, lower case; each Chinese, Japanese or Korean character is one."""
    return _UNITS.findall(text.lower())


def repeated_share(text: str, size: int = 4) -> float:
    """Share of a text's `size`-grams that stood in it before: 0 for none, near 1 for a loop (rep-4 of Welleck et al. 2020)."""
    grams = _grams(units(text), size)
    return 1 - len(set(grams)) / len(grams) if grams else 0.0


def distinct_share(texts: Iterable[str], size: int = 2) -> float:
    """Distinct `size`-grams of all texts over all of them (distinct-2 of Li et al. 2016); 0 when there are none."""
    grams = [gram for text in texts for gram in _grams(units(text), size)]
    return len(set(grams)) / len(grams) if grams else 0.0


def degeneration(texts: Sequence[str]) -> dict[str, float]:
    """`rep4` and `length_words` as means over texts, `distinct2` over all together, `empty_share`."""
    return {
        "rep4": sum(map(repeated_share, texts)) / len(texts),
        "distinct2": distinct_share(texts),
        "length_words": sum(len(units(text)) for text in texts) / len(texts),
        "empty_share": sum(not text.strip() for text in texts) / len(texts),
    }


def _grams(words: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[start : start + size]) for start in range(len(words) - size + 1)]
