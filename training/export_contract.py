"""What the Airflow side and the training side tell each other of an export: request, proof and result."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from training.answering import Answering
from training.frozen import Frozen

ExportForm = Literal["peft", "merged", "gguf"]
"""The adapter beside its base; base and adapter as one model; the same for llama.cpp and Ollama. All in float32."""


class ExportCard(Frozen):
    """What the card of an export says beyond what the training side knows."""

    writer: str
    language: str
    consent: bool
    """Whether the writer file says that the writer agreed."""
    model: str
    """The registered model, and its `version`."""
    version: str
    why: str = ""
    """The verdict it was promoted with."""
    figures: dict[str, list[str]] = Field(default_factory=dict)
    """The evaluation's table: column to values."""
    answering: Answering = Answering()
    """How its answers were chosen when it was examined."""


class ExportRequest(Frozen):
    """Write one adapter as a folder that other programs run, and prove it on questions nobody was trained on."""

    run_folder: Path
    name: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    """Of the folder inside `run_folder`, and of the model in it."""
    form: ExportForm
    adapter: Path | None
    """None: the base as it is."""
    base: str
    revision: str | None = None
    questions: tuple[str, ...] = Field(min_length=1)
    max_new_tokens: int = Field(64, ge=1)
    """Tokens of each answer that are compared."""
    card: ExportCard
    models: Path


class ExportProof(Frozen):
    """How an export's greedy answers compare with the adapter's in plain peft, and with the base's."""

    questions: int
    agree: int
    """Answers that are plain peft's choice token by token, or as good as that."""
    like_base: int
    """Answers that the base could have given too, from the first on: those after one that it could not are not tried."""
    furthest: float
    """The furthest that a token is behind plain peft's choice, in nats."""
    near_tie: float
    """What is taken for rounding there."""
    tokens: int
    answers: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...] = ()
    """The answers as token ids, each with its end token where it came to its end."""


class ExportResult(Frozen):
    """The finished folder, the SHA-256 of each file in it, and its proof."""

    folder: Path
    files: dict[str, str]
    proof: ExportProof
    seconds: float
