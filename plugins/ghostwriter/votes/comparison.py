"""Two answers to the same messages, shown as A and B, and the draw that decides which is which."""

import random
import secrets
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict

Choice = Literal["a", "b", "tie", "bad"]
"""The better one; `tie`: both are good; `bad`: neither is."""
CHOICES: tuple[Choice, ...] = get_args(Choice)


def storable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", errors="replace").decode()


Storable = Annotated[str, AfterValidator(storable)]


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(_Frozen):
    """One message of a chat."""

    role: Literal["user", "assistant"]
    content: Storable


class Side(_Frozen):
    """One of two answers: `asked` is the name it was asked for under (`champion`, `v7`), `version`
    what answered (`7`, `base`), `digest` that adapter's."""

    asked: str
    version: str
    digest: str
    text: Storable


class Sampling(_Frozen):
    """How the tokens of both answers were chosen."""

    temperature: float
    min_p: float
    max_tokens: int
    seed: int


class Comparison(_Frozen):
    """What a vote is about. `who` saw the two answers."""

    id: str
    writer: str
    who: str
    messages: tuple[Message, ...]
    a: Side
    b: Side
    sampling: Sampling


def new_id() -> str:
    """A name no other comparison has, which says nothing about it."""
    return secrets.token_hex(16)


def draw_sides(pair: tuple[str, str], chance: random.Random | None = None) -> tuple[str, str]:
    """The two names in an order that nobody can foresee: who answers as A, who as B."""
    chance = chance or secrets.SystemRandom()
    return pair if chance.random() < 0.5 else (pair[1], pair[0])
