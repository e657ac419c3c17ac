"""What the gateway wants of a program that runs models: load a version, answer in OpenAI's words, say when it has ended.

A version is loaded under a name of its own and never replaced there: every engine breaks in silence where one is. What moves is a pointer
in the gateway.
"""

import re
from pathlib import Path
from typing import Any, Protocol

from ghostwriter.errors import GhostwriterError
from ghostwriter.serving.level import Facts
from ghostwriter.serving.problem import Problem, invalid
from training.contract import ExportForm

Json = dict[str, Any]
CONTEXT = re.compile(r"exceed_context_size|context (length|size)|maximum context|too many tokens|longer than the maximum", re.IGNORECASE)
LONGEST = 300


class EngineFailed(GhostwriterError):
    """A version could not be loaded, or its engine answers otherwise than it should."""

    code = "engine"


class Running(Protocol):
    """A version that an engine answers with."""

    @property
    def address(self) -> str:
        """Base URL, with /v1."""
        ...

    @property
    def key(self) -> str:
        """What a request bears."""
        ...

    @property
    def model(self) -> str:
        """What the engine calls it."""
        ...

    @property
    def extra(self) -> Json:
        """What each request says beside the sampling: fields that only this engine knows."""
        ...

    async def ended(self) -> str:
        """Return when it answers no more by itself, with what is known of why."""
        ...

    async def stop(self) -> None:
        """Take it out of memory."""
        ...


class Engine(Protocol):
    """A program that runs models, in its own environment."""

    form: ExportForm
    """What it loads."""
    near_tie: float
    """How far behind another token one may be, in nats, that this engine's arithmetic chose instead of plain peft's."""

    asked_again: tuple[int, int]
    """How many of the answers that the export was proved with are asked of it before it serves, and how many tokens of each."""

    async def load(self, name: str, export: Path, facts: Facts) -> Running:
        """Load an exported version under `name`; `facts` name its base. Raises EngineFailed."""
        ...

    async def close(self) -> None:
        """End what was started for all versions together."""
        ...


def problem_of(status: int, body: Any) -> Problem:
    """What an engine's refusal means to whoever asked: llama.cpp's and vLLM's errors in the gateway's words."""
    error = body.get("error") if isinstance(body, dict) else None
    found = error if isinstance(error, dict) else body if isinstance(body, dict) else {}
    message, kind = str(found.get("message", "")), str(found.get("type", ""))
    if CONTEXT.search(f"{kind} {message}"):
        tokens, room = found.get("n_prompt_tokens"), found.get("n_ctx")
        how = f" It has {tokens} tokens; {room} is the most, with the answer." if tokens and room else f" {message[:LONGEST]}"
        words = f"The conversation is too long for this model.{how} Shorten it, or begin a new one."
        return invalid(words, "messages", "context_length_exceeded")
    if 400 <= status < 500:
        return invalid(f"The engine refused the request: {message[:LONGEST] or status}")
    return Problem(502, "engine_failed", f"The engine failed: {message[:LONGEST] or status}. Ask again.", retry_after=1)
