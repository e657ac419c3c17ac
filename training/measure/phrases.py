"""Phrases that give a hand away: those a model writes and the writer hardly does, and the writer's own.

A phrase is one to three words, or two to six Chinese characters, and is eight times as common, a word for a word, in one set of
texts as in the other. The lists come from the writer's own data: lists of "typical AI words" say little of one writer (auto-antislop
derives them in the same way). They are reported and never trained on.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from training.bootstrap import Measured, ratio
from training.measure.degeneration import units

TIMES = 8
"""How much commoner a phrase is where it belongs."""
SIZES = {"en": range(1, 4), "zh": range(2, 7)}
"""Units of a phrase: words, or Chinese characters."""
LEAST_TEXTS = 3
"""Texts a phrase must stand in; and of many texts one in LEAST_SHARE."""
LEAST_SHARE = 0.01
MOST_TEXTS = 400
"""Of each side, evenly."""
LISTED = 40
"""Phrases named in a report, the commonest first."""

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Phrases:
    """`foreign`: of the base and the teacher. `own`: the writer's. Each the commonest first."""

    foreign: tuple[Phrase, ...]
    own: tuple[Phrase, ...]
    language: str

    def measures(self, texts: Sequence[str]) -> dict[str, Measured]:
        """Phrases of each kind in 1,000 words."""
        words = [units(text) for text in texts]
        lengths = [len(found) / 1000 for found in words]
        kinds = {"foreign_phrases": self.foreign, "own_phrases": self.own}
        return {name: ratio([_matches(found, set(kind), self.language) for found in words], lengths) for name, kind in kinds.items()}

    @property
    def listed(self) -> dict[str, list[str]]:
        """The commonest of each kind, as a person reads them."""
        between = "" if self.language == "zh" else " "
        kinds = {"foreign_phrases": self.foreign, "own_phrases": self.own}
        return {name: [between.join(phrase) for phrase in kind[:LISTED]] for name, kind in kinds.items()}


def find_phrases(writer: Sequence[str], models: Sequence[str], others: Sequence[str], language: str) -> Phrases:
    """From the writer's training answers, the base's and the teacher's, and other people's texts.

    The writer's own are told from the base and other people: the teacher imitates them.
    """
    writer_counts, model_counts, other_counts = (_Counts(texts, language) for texts in (writer, models, others))
    return Phrases(model_counts.commoner_than(writer_counts), writer_counts.commoner_than(other_counts), language)


class _Counts:
    """How often each phrase stands in some texts, and in how many of them."""

    def __init__(self, texts: Sequence[str], language: str) -> None:
        step = max(1, -(-len(texts) // MOST_TEXTS))
        self.all: Counter[Phrase] = Counter()
        self.texts: Counter[Phrase] = Counter()
        self.words = 0
        chosen = texts[::step]
        for text in chosen:
            words = units(text)
            found = Counter(_phrases(words, language))
            self.all.update(found)
            self.texts.update(found.keys())
            self.words += len(words)
        self.least = max(LEAST_TEXTS, LEAST_SHARE * len(chosen))

    def commoner_than(self, other: "_Counts") -> tuple[Phrase, ...]:
        """The phrases that belong here, the commonest first. Half an occurrence is added there, so that none is infinitely commoner."""
        if not self.words or not other.words:
            return ()
        share = TIMES * self.words / other.words
        found = [
            phrase for phrase, texts in self.texts.items() if texts >= self.least and self.all[phrase] >= share * (other.all[phrase] + 0.5)
        ]
        return tuple(sorted(found, key=lambda phrase: (-self.all[phrase], phrase)))


def _phrases(words: Sequence[str], language: str) -> Iterator[Phrase]:
    for size in SIZES[language]:
        yield from zip(*(words[start:] for start in range(size)), strict=False)


def _matches(words: Sequence[str], phrases: set[Phrase], language: str) -> int:
    """Phrases in a text, the longest first where several begin; none overlaps another."""
    count = place = 0
    while place < len(words):
        sizes = (size for size in reversed(SIZES[language]) if tuple(words[place : place + size]) in phrases)
        size = next(sizes, 0)
        count += bool(size)
        place += max(1, size)
    return count
