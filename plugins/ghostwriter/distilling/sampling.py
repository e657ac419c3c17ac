"""Which question is asked when, and with which examples.

Questions are walked in rounds: every question once (sample 0), then every question again (sample 1), each round in its own
seeded order. Examples rotate: always the least used first, equals in a seeded order, never a pair that gives the writer's own
answer away (`corpus.Lookalikes`). What was chosen once is kept by the ledger, so a new question changes nothing for the others.
"""

import heapq
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import count

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.errors import CorpusTooSmall
from ghostwriter.pairs import Pair, Question

Place = tuple[str, int]
"""A question's id and the number of the sample."""


def walk(questions: Sequence[Question], seed: int) -> Iterator[tuple[Question, int]]:
    """(question, sample) for ever: round after round."""
    for sample in count():
        for question in sorted(questions, key=lambda question: _order(seed, "question", sample, question.id)):
            yield question, sample


class Rotation:
    """Chooses examples so that each pair is used as often as any other."""

    def __init__(self, corpus: Corpus, examples: int, seed: int, kept: Mapping[Place, Sequence[str]] | None = None) -> None:
        self._pairs = {pair.id: pair for pair in corpus.training}
        self._lookalikes = corpus.lookalikes
        self._examples = examples
        self._seed = seed
        self._kept = {
            place: tuple(ids) for place, ids in (kept or {}).items() if len(ids) == examples and all(pair in self._pairs for pair in ids)
        }
        self._heap = self._start()

    def choose(self, question: Question, sample: int) -> tuple[Pair, ...]:
        """The examples for one sample of a question, the kept ones if they still hold.

        Raises CorpusTooSmall when too few pairs differ enough from the question and its answer.
        """
        banned = self._lookalikes.of(question)
        ids = self._kept.get((question.id, sample))
        if ids is None or banned & set(ids):
            ids = self._take(banned)
        return tuple(self._pairs[pair] for pair in ids)

    def _take(self, banned: frozenset[str]) -> tuple[str, ...]:
        taken: list[tuple[int, str, str]] = []
        passed: list[tuple[int, str, str]] = []
        while len(taken) < self._examples:
            if not self._heap:
                raise CorpusTooSmall(
                    f"Only {len(taken)} of the writer's {len(self._pairs)} pairs differ enough from one of the questions, "
                    f"{self._examples} are shown in each prompt. "
                    "Collect more answers, or lower teacher.examples. Nothing was asked of the teacher."
                )
            entry = heapq.heappop(self._heap)
            (passed if entry[2] in banned else taken).append(entry)
        for entry in passed:
            heapq.heappush(self._heap, entry)
        for uses, _, pair in taken:
            heapq.heappush(self._heap, self._entry(uses + 1, pair))
        return tuple(pair for _, _, pair in taken)

    def _start(self) -> list[tuple[int, str, str]]:
        """How often each pair was used; one that is new starts with the least used, so that it does not fill every next prompt."""
        used = Counter(pair for ids in self._kept.values() for pair in ids)
        least = min(used.values(), default=0)
        heap = [self._entry(used.get(pair, least), pair) for pair in self._pairs]
        heapq.heapify(heap)
        return heap

    def _entry(self, uses: int, pair: str) -> tuple[int, str, str]:
        return uses, _order(self._seed, "example", uses, pair), pair


def uses(chosen: Iterable[Sequence[Pair]]) -> Counter[str]:
    """How often each pair is shown, by its id."""
    return Counter(pair.id for examples in chosen for pair in examples)


def _order(seed: int, kind: str, number: int, name: str) -> str:
    return sha256(f"{seed}\n{kind}\n{number}\n{name}".encode()).hexdigest()[:16]
