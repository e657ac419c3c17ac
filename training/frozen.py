"""Frozen models, and the JSON files that carry them between processes."""

import os
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of everything that crosses the border."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Model = TypeVar("Model", bound=Frozen)


def write_json(value: Frozen, path: Path) -> None:
    """Write `value` to `path` by rename, so that a reader sees a whole file or none."""
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("w", encoding="utf-8") as file:
        file.write(value.model_dump_json(indent=2) + "\n")
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)


def read_json(kind: type[Model], path: Path) -> Model:
    """The `kind` that was written to `path`. Raises FileNotFoundError, or pydantic's ValidationError."""
    return kind.model_validate_json(path.read_bytes())
