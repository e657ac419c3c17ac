"""One request to the teacher, as buying, batches and the judge share it."""

from dataclasses import dataclass

from ghostwriter.pairs import Pair, Question


@dataclass(frozen=True, slots=True)
class Call:
    """One request to make: a question, the number of its sample, and the pairs shown before it."""

    key: str
    question: Question
    sample: int
    examples: tuple[Pair, ...]
