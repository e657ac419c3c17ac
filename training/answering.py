"""How the tokens of an answer are chosen: what the writer file says, and what `evaluate` and exports follow."""

from pydantic import Field

from training.frozen import Frozen


class Answering(Frozen):
    """How the tokens of an answer are chosen: where a writer is served, and so also where an adapter is examined."""

    temperature: float = Field(0.7, ge=0, le=5)
    """0: always the likeliest token, which loops on text as varied as a person's."""
    min_p: float = Field(0.05, ge=0, le=1)
    """Tokens less likely than this share of the likeliest are never chosen."""
    seed: int = Field(0, ge=0, lt=2**63)
    """With it a question gets the same answer every time."""


GREEDY = Answering(temperature=0)
