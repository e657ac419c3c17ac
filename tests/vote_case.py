"""What tests of votes start from: comparisons of invented answers, and votes on them."""

from typing import Any

from sqlalchemy import Engine

from ghostwriter.votes.comparison import Choice, Comparison, Message, Sampling, Side, new_id
from ghostwriter.votes.records import record_vote

SAMPLING = Sampling(temperature=0.7, min_p=0.05, max_tokens=64, seed=7)
QUESTION = "Why does the lamp burn?"


def comparison(a: str = "Because of oil.", b: str = "Magic.", **more: Any) -> Comparison:
    """Version 3 answers as A, version 2 as B, unless said otherwise."""
    question = more.pop("question", QUESTION)
    versions = more.pop("versions", ("3", "2"))
    one, other = (
        Side(asked=asked, version=version, digest=f"d{version}", text=text)
        for asked, version, text in zip(("champion", "previous"), versions, (a, b), strict=True)
    )
    messages = (Message(role="user", content=question),)
    whole = {"id": new_id(), "writer": "tester", "who": "ann", "messages": messages, "sampling": SAMPLING}
    return Comparison(**{**whole, "a": one, "b": other, **more})


def vote(engine: Engine, choice: Choice, a: str = "Because of oil.", b: str = "Magic.", **more: Any) -> None:
    """A comparison and the vote on it."""
    record_vote(engine, comparison(a, b, **more), choice)
