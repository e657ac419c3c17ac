"""Checkpoints of a run: folders `checkpoints/step-000050`, which appear by rename, the newest two kept.

Training waits only while the state is copied into memory; a thread writes it to the disk. A
checkpoint of r = 256 on a 7B model is 7.75 GB: two seconds of copying, and up to a minute of disk.
"""

import json
import logging
import shutil
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch.serialization import set_crc32_options

from training.errors import UNREADABLE, CheckpointError
from training.files import UNFINISHED, sweep, whole_folder

log = logging.getLogger(__name__)

KEPT = 2
STATE_FILE, OPTIMIZER_FILE = "state.json", "optimizer.pt"


@dataclass(frozen=True)
class State:
    """Where a run stands after `step` optimizer steps; losses in nats per token, `tokens` without
    padding. `identity` names what the run was started with.
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


class Saver:
    """Writes the checkpoints of one process, one at a time, beside the training."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder = run_folder
        self._host: Any = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._copying = 0.0

    @property
    def is_busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def begin(self, state: State, optimizer: dict[str, Any]) -> None:
        """Copy the state, which may change when this returns, and have it written.

        Raises what went wrong with the checkpoint before (OSError: a full disk).
        """
        self.wait()
        began = time.monotonic()
        self._host = _copied(optimizer, self._host)
        self._copying = time.monotonic() - began
        self._thread = threading.Thread(target=self._write, args=(state,), name="checkpoint")  # a process that ends waits for it
        self._thread.start()

    def wait(self) -> None:
        """Wait until the last checkpoint is there. Raises what went wrong with it."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._error is not None:
            error, self._error = self._error, None
            raise error

    def _write(self, state: State) -> None:
        began = time.monotonic()
        try:
            save(self._run_folder, state, self._host)
            seconds = self._copying, time.monotonic() - began
            log.info("Checkpoint after step %d: training waited %.1f s, writing took %.1f s beside it.", state.step, *seconds)
        except BaseException as error:  # raised again in the thread that trains
            self._error = error


def save(run_folder: Path, state: State, optimizer: dict[str, Any]) -> Path:
    """Write a checkpoint and remove those before the newest two."""
    folder = _folder(run_folder) / f"step-{state.step:06d}"
    set_crc32_options(False)  # two thirds of the time of a save; a cut file is found without it
    with whole_folder(folder) as unfinished:
        with (unfinished / OPTIMIZER_FILE).open("wb") as file:  # given a path, torch would say a full disk in words of its own
            torch.save(optimizer, file)
        (unfinished / STATE_FILE).write_text(json.dumps(asdict(state)) + "\n")
    for old in _all(run_folder)[:-KEPT]:
        shutil.rmtree(old)
    return folder


def load_newest(run_folder: Path, identity: str) -> tuple[State, dict[str, Any]] | None:
    """The newest readable checkpoint, its tensors still on the disk; None when there is none at all.

    Unreadable ones are reported and passed over. Raises CheckpointError when none can be read, or
    for one of another training.
    """
    folders = _all(run_folder)
    for folder in reversed(folders):
        try:
            state = State(**json.loads((folder / STATE_FILE).read_bytes()))
            optimizer = torch.load(folder / OPTIMIZER_FILE, map_location="cpu", mmap=True, weights_only=True)
        except torch.OutOfMemoryError:
            raise  # a RuntimeError as well, but it says nothing about the file
        except UNREADABLE as error:
            log.warning("The checkpoint %s cannot be read (%s); trying the one before.", folder, type(error).__name__)
            continue
        if state.identity != identity:
            raise CheckpointError(
                f"{folder} belongs to a training with another recipe, dataset or base. Choose another run folder, or remove this one."
            )
        return state, optimizer
    if folders:
        raise CheckpointError(
            f"None of the {len(folders)} checkpoints in {_folder(run_folder)} can be read."
            " Restore one of them, or remove that folder to train from the first step."
        )
    return None


def newest(run_folder: Path) -> Path | None:
    """The newest checkpoint, readable or not."""
    return max(_all(run_folder), default=None)


def remove_halves(run_folder: Path) -> None:
    """Remove what a kill left half written, up to the size of a checkpoint each."""
    sweep(_folder(run_folder))


def remove_all(run_folder: Path) -> None:
    """Remove the checkpoints of a finished run."""
    shutil.rmtree(_folder(run_folder), ignore_errors=True)


def _copied(value: Any, host: Any) -> Any:
    """`value` with its tensors copied into memory of this process: that of `host`, from the time before."""
    if isinstance(value, torch.Tensor):
        room = host if isinstance(host, torch.Tensor) else torch.empty_like(value, device="cpu")
        return room.copy_(value)
    if isinstance(value, dict):
        return {name: _copied(each, host[name] if host else None) for name, each in value.items()}
    return value


def _folder(run_folder: Path) -> Path:
    return run_folder / "checkpoints"


def _all(run_folder: Path) -> list[Path]:
    return sorted(path for path in _folder(run_folder).glob("step-*") if not path.name.endswith(UNFINISHED))
