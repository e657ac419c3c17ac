"""A writer's question and answer, and a question for the teacher: what a snapshot holds, a dataset is made of and a call shows."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """One of the writer's answers, with the question."""

    id: str
    question_id: str
    question: str
    answer: str


@dataclass(frozen=True)
class Question:
    """A question for the teacher. `origin` is `writer` or `extra` (from the file of extra questions)."""

    id: str
    text: str
    origin: str = "writer"
