"""Checkpoints of a run: folders `checkpoints/step-000050`, made by rename, the newest two kept."""

import json
import logging
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from training.errors import UNREADABLE, CheckpointError

log = logging.getLogger(__name__)

KEPT = 2


@dataclass(frozen=True)
class State:
    """Where a run stands after `step` optimizer steps; losses in nats a token, `tokens` without padding.

    `identity` names what the run was started with.
    """

    identity: str
    step: int
    micro_batch: int
    tokens: int
    seconds: float
    first_loss: float
    last_loss: float
    total_steps: int = 0
    """How many steps the training has, once `max_seconds` decided that; 0 before, and without it."""


def save(run_folder: Path, state: State, optimizer: dict[str, Any]) -> Path:
    """Write a checkpoint and remove those before the newest two."""
    folder = _folder(run_folder) / f"step-{state.step:06d}"
    unfinished = folder.with_name(folder.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        with (unfinished / "optimizer.pt").open("wb") as file:
            torch.save(optimizer, file)
            file.flush()
            os.fsync(file.fileno())
        (unfinished / "state.json").write_text(json.dumps(asdict(state)) + "\n")
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)  # on a full disk it would leave no room even to say so
        raise
    shutil.rmtree(folder, ignore_errors=True)
    unfinished.rename(folder)
    for old in _all(run_folder)[:-KEPT]:
        shutil.rmtree(old)
    return folder


def load_newest(run_folder: Path, identity: str, device: torch.device) -> tuple[State, dict[str, Any]] | None:
    """The newest readable checkpoint; unreadable ones are said and left aside. Raises CheckpointError for one of another training."""
    for folder in reversed(_all(run_folder)):
        try:
            state = State(**json.loads((folder / "state.json").read_bytes()))
            optimizer = torch.load(folder / "optimizer.pt", map_location=device, weights_only=True)
        except UNREADABLE as error:
            log.warning("The checkpoint %s cannot be read (%s); trying the one before.", folder, type(error).__name__)
            continue
        if state.identity != identity:
            raise CheckpointError(
                f"{folder} belongs to a training with another recipe, dataset or base. Choose another run folder, or remove this one."
            )
        return state, optimizer
    return None


def newest(run_folder: Path) -> Path | None:
    """The newest checkpoint, readable or not."""
    return max(_all(run_folder), default=None)


def remove_all(run_folder: Path) -> None:
    """Remove the checkpoints of a finished run."""
    shutil.rmtree(_folder(run_folder), ignore_errors=True)


def _folder(run_folder: Path) -> Path:
    return run_folder / "checkpoints"


def _all(run_folder: Path) -> list[Path]:
    return sorted(path for path in _folder(run_folder).glob("step-*") if not path.name.endswith(".unfinished"))
