"""What a stage tells MLflow: one run that goes on across restarts, with a true status at its end."""

import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from training.contract import Tracking
from training.errors import Stopped, TrainingError
from training.tracking.outbox import Outbox
from training.tracking.sender import STATE_FILE, Sender

log = logging.getLogger(__name__)

OPEN_SECONDS = 20.0
"""How long a start waits for the run to be open (importing MLflow takes some of it)."""
CLOSE_SECONDS = 60.0
"""How long an end waits for a server that answers nothing: longer than one takes to start again."""
STOP_SECONDS = 20.0
"""The same when asked to stop: whoever asked kills after a minute at most."""


class TrackedRun:
    """The MLflow run of one run folder. With `tracking` None everything is only kept in the run folder."""

    def __init__(self, tracking: Tracking | None, run_folder: Path) -> None:
        self._outbox = Outbox(run_folder)
        self._last_step = self._outbox.last_step()
        self._run_folder = run_folder
        self._sender = Sender(tracking, run_folder, self._outbox) if tracking else None
        if self._sender and self._sender.start(OPEN_SECONDS):
            log.info("MLflow run %s", self.run_id)

    @property
    def run_id(self) -> str | None:
        """Id of the MLflow run; None while there is none."""
        return self._sender.run_ids.get("") if self._sender else None

    def params(self, values: Mapping[str, Any]) -> None:
        """Log what was chosen."""
        self._add("params", values={name: str(value) for name, value in values.items()})

    def metrics(self, values: Mapping[str, float], step: int | None = None, child: str = "") -> None:
        """Log figures of a step or of the whole run (or of a child run). Steps told before a restart are not told again."""
        if step is not None and step <= self._last_step:
            return
        self._last_step = self._last_step if step is None else step
        self._add("metrics", child, step=step, time=time.time_ns() // 1_000_000, values=dict(values))

    def history(self, metric: str) -> dict[int, float]:
        """Step to value of a metric of the run, from its very start."""
        return self._outbox.history(metric)

    def tags(self, values: Mapping[str, str]) -> None:
        """Set tags."""
        self._add("tags", values=dict(values))

    def dataset(self, folder: Path, context: str) -> None:
        """Log a dataset folder as input, with the digest of its manifest if it has one; `context` is like `training`."""
        manifest = json.loads((folder / "manifest.json").read_bytes()) if (folder / "manifest.json").exists() else {}
        rows = {name: entry["rows"] for name, entry in manifest.get("files", {}).items()}
        digest, name = manifest.get("digest", "none")[:32], manifest.get("writer") or folder.name
        self._add("dataset", values={"name": name, "digest": digest, "folder": str(folder), "profile": rows, "context": context})

    def artifact(self, path: Path, folder: str = "") -> None:
        """Log a file, or all files of a folder, under `folder`. It must stay where it is until the run ends."""
        self._add("artifact", path=str(path), folder=folder)

    def table(self, columns: Mapping[str, Sequence[Any]], name: str) -> None:
        """Log a table (column name to values) that MLflow shows under `name`, like `samples.json`."""
        path = self._run_folder / name
        rows = [list(row) for row in zip(*columns.values(), strict=True)]
        path.write_text(json.dumps({"columns": list(columns), "data": rows}, ensure_ascii=False), encoding="utf-8")
        self._add("table", path=str(path))

    def end_child(self, child: str) -> None:
        """Say that a child run is finished."""
        self._add("status", child, value="FINISHED")

    def close(self, status: str) -> None:
        """End the run as FINISHED, FAILED or KILLED, and wait until MLflow has everything, or does not answer."""
        self._add("status", value=status)
        patience = min(STOP_SECONDS, CLOSE_SECONDS) if status == "KILLED" else CLOSE_SECONDS
        if self._sender and not self._sender.close(patience):
            log.warning("MLflow has not got everything of this run. Send the rest later with: python -m training send %s", self._run_folder)
        self._outbox.close()

    def _add(self, kind: str, child: str = "", **fields: Any) -> None:
        self._outbox.add({"run": child, "kind": kind, **fields})
        if self._sender:
            self._sender.wake()


@contextmanager
def open_run(tracking: Tracking | None, run_folder: Path) -> Iterator[TrackedRun]:
    """The run of `run_folder`, ended as FINISHED, as KILLED when the process was asked to stop, and as FAILED by any other exception."""
    run = TrackedRun(tracking, run_folder)
    status = "FAILED"
    try:
        yield run
        status = "FINISHED"
    except Stopped:
        status = "KILLED"
        raise
    finally:
        run.close(status)


def send_rest(run_folder: Path) -> None:
    """Send what a run could not send while MLflow was down. Raises TrainingError when it still is, or nothing was tracked there."""
    path = run_folder / STATE_FILE
    if not path.exists():
        raise TrainingError(f"{run_folder} holds no tracked run ({STATE_FILE}).")
    tracking = Tracking.model_validate(json.loads(path.read_bytes())["tracking"])
    outbox = Outbox(run_folder)
    outbox.close()
    sender = Sender(tracking, run_folder, outbox, reopen=False)
    sender.start(OPEN_SECONDS)
    if not sender.close(CLOSE_SECONDS):
        raise TrainingError(f"MLflow at {tracking.uri} does not answer: {sender.failing}")
