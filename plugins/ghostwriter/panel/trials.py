"""Which texts readers see beside each other, from the answers of an evaluation: a pure function of them and a seed.

A third of the trials sets an arm beside the writer's own held-out answer; one in ten the base, whom every reader should tell from
the writer: that is how attention is checked. The rest sets arms beside each other, each pair as often as the others. A question
comes again only when there are too few, and the writer's answer to it never does: a reader would know it again.
"""

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, cycle, islice
from typing import Literal

from ghostwriter.judging.gate import BASE, WRITER
from ghostwriter.panel.texts import MOST, cut, length, matched, plain
from ghostwriter.words.catalogue import Language

Kind = Literal["turing", "check", "arms"]
TURING_SHARE, CHECK_SHARE = 1 / 3, 1 / 10
KNOWN_SHARE = 0.1
"""Of the most that is shown, what a text that shows the writer's voice has at least."""


@dataclass(frozen=True)
class Trial:
    """What one round shows, and which arms `a` and `b` stand for."""

    kind: Kind
    question: str
    known: str
    """A text by the writer, to an other question that nobody is asked here."""
    a: str
    b: str
    arms: tuple[str, str]


@dataclass(frozen=True)
class Drawn:
    """The trials in the order in which they are shown; `unmatched`: pairs left out since their lengths differ, or not their words."""

    trials: tuple[Trial, ...]
    unmatched: int


def draw(rows: Sequence[Mapping[str, str]], arms: Sequence[str], known: Sequence[str], language: Language, number: int, seed: int) -> Drawn:
    """Up to `number` trials, fewer where the questions do not suffice.

    `rows` have `question`, `writer`, `base` where there is one, and each arm's answer; `known` are other texts by the writer (known_texts).
    """
    deal = _Deal(rows, language, random.Random(f"{seed} questions"))
    dealt = [found for kind, pair in _plan(arms, number, BASE in rows[0]) if (found := deal.next(kind, pair))]
    return Drawn(tuple(_shown(dealt, known, random.Random(f"{seed} sides"))), len(deal.unmatched))


def known_texts(texts: Sequence[str], language: Language) -> list[str]:
    """The texts as they are shown, without those too short or too long to show a voice."""
    found = [cut(plain(text, language), MOST[language], language) for text in texts]
    return [text for text in found if length(text, language) >= KNOWN_SHARE * MOST[language]]


def _plan(arms: Sequence[str], number: int, has_base: bool) -> Iterator[tuple[Kind, tuple[str, str]]]:
    """Kinds and pairs, those with the writer's text first: only they need questions of their own."""
    checks = max(1, round(CHECK_SHARE * number)) if has_base else 0
    rivals = [arm for arm in arms if arm != BASE] or list(arms)
    pairs = list(combinations(arms, 2))
    turing = round(TURING_SHARE * number) if pairs else number - checks
    yield from (("check", (WRITER, BASE)) for _ in range(checks))
    yield from (("turing", (WRITER, arm)) for arm in islice(cycle(rivals), turing))
    yield from (("arms", pair) for pair in islice(cycle(pairs), number - checks - turing) if pairs)


@dataclass(frozen=True)
class _Dealt:
    kind: Kind
    pair: tuple[str, str]
    question: str
    texts: tuple[str, str]


class _Deal:
    """Gives each planned pair a question, those least used first."""

    def __init__(self, rows: Sequence[Mapping[str, str]], language: Language, chance: random.Random) -> None:
        self._rows, self._language = chance.sample(list(rows), len(rows)), language
        self._uses: Counter[str] = Counter()
        self._seen: set[tuple[str, ...]] = set()
        self.unmatched: set[tuple[str, ...]] = set()

    def next(self, kind: Kind, pair: tuple[str, str]) -> _Dealt | None:
        """None when no question is left for the pair."""
        for row in sorted(self._rows, key=lambda row: self._uses[row["question"]]):
            question = row["question"]
            mark = (WRITER, question) if WRITER in pair else (*pair, question)
            if mark in self._seen or (*pair, question) in self.unmatched:
                continue
            texts = matched(row[pair[0]], row[pair[1]], self._language)
            if texts is None:
                self.unmatched.add((*pair, question))
                continue
            self._seen.add(mark)
            self._uses[question] += 1
            return _Dealt(kind, pair, question, texts)
        return None


def _shown(dealt: Sequence[_Dealt], known: Sequence[str], chance: random.Random) -> Iterator[Trial]:
    """The trials in random order, half of each kind with exchanged sides."""
    numbers = Counter(each.kind for each in dealt)
    exchanged = {kind: iter(chance.sample(_halves(number), number)) for kind, number in numbers.items()}
    examples = cycle(chance.sample(list(known), len(known)))
    sided = [(each, next(exchanged[each.kind])) for each in dealt]
    for each, swap in chance.sample(sided, len(sided)):
        step = -1 if swap else 1
        (a, b), (one, other) = each.texts[::step], each.pair[::step]
        yield Trial(each.kind, each.question, next(examples), a, b, (one, other))


def _halves(number: int) -> list[bool]:
    return [bool(place % 2) for place in range(number)]
