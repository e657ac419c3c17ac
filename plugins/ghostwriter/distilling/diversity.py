"""How varied a set of answers is, beside the writer's own, at equal length: these figures grow or shrink with the amount of text.

compression_ratio   bytes over zlib-compressed bytes; higher is more uniform (Shaib et al. 2024)
distinct_1..3       different n-grams over all n-grams; lower is more uniform (Li et al. 2016)
self_repetition     share of an answer's 4-grams that stand in another answer, too, on average (after Salkar et al. 2022)
"""

import zlib
from collections import Counter
from collections.abc import Sequence

from ghostwriter.tokens import ngrams, words

MOST_WORDS = 50_000
Figures = dict[str, float]


def compare(writer: Sequence[str], teacher: Sequence[str]) -> dict[str, Figures]:
    """The figures of both sets, each cut to the same number of words: all of the smaller one, at most 50,000."""
    length = min(_length(writer), _length(teacher))
    return {"writer": measure(writer, length), "teacher": measure(teacher, length)} if length else {}


def measure(texts: Sequence[str], length: int) -> Figures:
    """The figures of the first `length` words (Chinese characters) of `texts`."""
    taken = _first_words(texts, length)
    joined = "\n".join(" ".join(found) for found in taken).encode()
    return {
        "words": float(sum(map(len, taken))),
        "compression_ratio": round(len(joined) / len(zlib.compress(joined, 9)), 4),
        **{f"distinct_{n}": round(_distinct(taken, n), 4) for n in (1, 2, 3)},
        "self_repetition": round(_self_repetition(taken), 4),
    }


def _length(texts: Sequence[str]) -> int:
    return sum(map(len, _first_words(texts, MOST_WORDS)))


def _first_words(texts: Sequence[str], length: int) -> list[list[str]]:
    taken: list[list[str]] = []
    for text in texts:
        if length <= 0:
            break
        found = words(text)[:length]
        length -= len(found)
        taken.append(found)
    return taken


def _distinct(taken: Sequence[Sequence[str]], n: int) -> float:
    grams = [gram for found in taken for gram in ngrams(found, n)]
    return len(set(grams)) / len(grams) if grams else 0.0


def _self_repetition(taken: Sequence[Sequence[str]]) -> float:
    own = [set(ngrams(found, 4)) for found in taken]
    in_answers = Counter(gram for grams in own for gram in grams)
    shares = [sum(1 for gram in grams if in_answers[gram] > 1) / len(grams) for grams in own if grams]
    return sum(shares) / len(shares) if shares else 0.0
