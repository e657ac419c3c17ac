"""Which questions a writer's datasets trained on: they are never held out again, not even when a purge took those datasets away."""

from pathlib import Path

from ghostwriter.files import write_durably
from ghostwriter.snapshot import finished, read_rows
from training.contract import TRAINING_FILES

KEPT_FILE = "trained_on.txt"
"""Beside the datasets: ids of questions, one a line, that stood in datasets which are gone."""


def trained_on(datasets: Path) -> frozenset[str]:
    """Ids of the questions that finished datasets trained on. Raises SnapshotError for a dataset that was changed."""
    names = [(folder, name) for folder in finished(datasets) for name in TRAINING_FILES["direct"]]
    kept = (datasets / KEPT_FILE).read_text(encoding="utf-8").splitlines() if (datasets / KEPT_FILE).exists() else []
    return frozenset([*kept, *(str(row["question_id"]) for folder, name in names for row in read_rows(folder, name))])


def keep_trained_on(datasets: Path, without: str | None) -> None:
    """Write the ids down, but for one, before datasets are removed."""
    if datasets.exists():
        names = sorted(trained_on(datasets) - {without})
        write_durably(datasets / KEPT_FILE, "".join(f"{name}\n" for name in names).encode())
