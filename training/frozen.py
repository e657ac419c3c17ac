"""Frozen models, and the JSON files that carry them between processes."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict

from training.files import write_file


class Frozen(BaseModel):
    """Base of everything that crosses the border."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Frozen)


def write_json(value: Frozen, path: Path) -> None:
    """Write `value` to `path` by rename, so that a reader sees a whole file or none."""
    write_file(path, value.model_dump_json(indent=2) + "\n")


def read_json(kind: type[Model], path: Path) -> Model:
    """The `kind` that was written to `path`. Raises FileNotFoundError, or pydantic's ValidationError."""
    return kind.model_validate_json(path.read_bytes())
