"""Which stage of a writer's nightly chain has work: read from the data, never from what an event says.

An asset event only wakes a stage. What there is to do follows from the newest snapshot of answers, from what the newest dataset
was made from (its manifest's parents), and from whether that dataset was trained on to a verdict (`trained.json` beside its
manifest). So an event that was lost, doubled, out of order or made by hand changes nothing, and whatever a failed, paused or
cleared DAG left undone is seen again by the next collection.
"""

import json
import logging
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from ghostwriter.errors import SnapshotError
from ghostwriter.files import write_durably
from ghostwriter.home import Home
from ghostwriter.snapshot import find, newest, read_manifest

log = logging.getLogger(__name__)

Work = Literal["distil", "train"]
TRAINED = "trained.json"
"""In a dataset's folder: it was trained on with the writer file's arm and recipe, judged, and the verdict was carried out."""


@dataclass(frozen=True)
class Level:
    """How far a writer's data has come."""

    answers: str | None
    """Digest of the newest snapshot of answers; None before the first."""
    made_from: str | None
    """Digest of the answers the newest dataset was made from; None before the first."""
    trained: bool
    """Whether that dataset was trained on."""


def next_work(level: Level) -> Work | None:
    """What the chain has to do next; None when the newest answers were trained on."""
    if level.answers is None:
        return None
    if level.made_from != level.answers:
        return "distil"
    return None if level.trained else "train"


def can_train(level: Level) -> bool:
    """Whether a woken training has work: also on a dataset that newer answers will replace as soon as they are distilled."""
    return level.made_from is not None and not level.trained


def read_level(home: Home, stem: str) -> Level:
    """How far the writer's data has come."""
    answers, dataset = newest(home.answers(stem)), newest(home.datasets(stem))
    parents = read_manifest(dataset).parents if dataset else ()
    return Level(
        answers=read_manifest(answers).digest if answers else None,
        made_from=parents[0] if parents else None,
        trained=bool(dataset and (dataset / TRAINED).exists()),
    )


def chosen_or_newest(chosen: str | None, parent: Path, what: str) -> Path:
    """The folder a run works on: the one the form names, else the newest below `parent`. Raises SnapshotError when there is none.

    What a person typed is looked for right below `parent` and nowhere else.
    """
    folder = find(parent, chosen) if chosen and chosen.strip() else newest(parent)
    if folder is None:
        raise SnapshotError(f"There are no {what} in {parent} yet. Run the DAG before this one, or name a folder in the form.")
    os.utime(folder)  # what was chosen for a run is in use: housekeeping goes by it
    log.info("Works on the %s %s.", what, folder)
    return folder


def is_woken(dag_run: Any) -> bool:
    """Whether an asset event started the run; what a person starts is done whether or not there is news."""
    return str(getattr(dag_run.run_type, "value", dag_run.run_type)) == "asset_triggered"


def trained_in(dataset: Path) -> str | None:
    """The MLflow run in which a dataset was trained on, by its mark; None without one."""
    mark = dataset / TRAINED
    return str(json.loads(mark.read_bytes())["mlflow_run"]) if mark.exists() else None


def mark_trained(dataset: Path, run_id: str) -> None:
    """Remember that a dataset was trained on, in which MLflow run; the first mark stays."""
    if not (dataset / TRAINED).exists():
        mark = {"mlflow_run": run_id, "at": datetime.now(UTC).isoformat()}
        write_durably(dataset / TRAINED, (json.dumps(mark) + "\n").encode())
