"""Snapshots, datasets and run folders: which of them hold an answer, and how they are removed.

They are named by what they hold, so one that holds the answer goes as a whole; the next night writes one without it.
"""

import fcntl
import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ghostwriter.errors import GhostwriterError
from ghostwriter.files import is_going
from ghostwriter.home import Home
from training.contract import REQUEST_FILE


class StillAtWork(GhostwriterError):
    """A training or evaluation works in a folder that is to be removed."""

    code = "still_at_work"
    retryable = True


class Found(BaseModel):
    """What holds an answer: names of snapshots and datasets, and the id of its question. It only grows while a purge runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshots: tuple[str, ...] = ()
    datasets: tuple[str, ...] = ()
    question_id: str | None = None

    def joined(self, other: "Found") -> "Found":
        """Both together."""
        return Found(
            snapshots=tuple(sorted({*self.snapshots, *other.snapshots})),
            datasets=tuple(sorted({*self.datasets, *other.datasets})),
            question_id=other.question_id or self.question_id,
        )


def find_answer(home: Home, stem: str, answer: str, question_id: str | None) -> Found:
    """Every snapshot, and every dataset made with it: as a pair, as an example in a prompt, or as the question that was asked."""
    snapshots = [folder for folder in _folders(home.answers(stem)) if any(_rows(folder, [answer]))]
    ids = {str(row["question_id"]) for folder in snapshots for row in _rows(folder, [answer]) if row.get("id") == answer}
    question_id = question_id or next(iter(sorted(ids)), None)
    needles = [answer, *([question_id] if question_id else [])]
    datasets = [folder for folder in _folders(home.datasets(stem)) if any(_rows(folder, needles))]
    return Found(
        snapshots=tuple(folder.name for folder in snapshots),
        datasets=tuple(folder.name for folder in datasets),
        question_id=question_id,
    )


def run_folders(home: Home, stem: str, datasets: tuple[str, ...]) -> list[Path]:
    """Run folders that worked on one of these datasets, or on one that is no longer there to be looked at."""
    clean = {folder.name for folder in _folders(home.datasets(stem))} - set(datasets)
    return [folder for folder in _folders(home.runs(stem)) if _dataset_of(folder) not in clean]


def check_idle(run_folder: Path) -> None:
    """Raise StillAtWork when a process works in the folder, or in an evaluation's below it."""
    for path in (run_folder / "lock", *run_folder.glob("*/lock")):
        if path.exists():
            with path.open("ab") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    raise StillAtWork(f"A training works in {run_folder}. Let it end, or end its task; then run this again.") from None


def _folders(parent: Path) -> list[Path]:
    return sorted(path for path in parent.glob("*") if path.is_dir() and not is_going(path))


def _rows(folder: Path, names: list[str]) -> Iterator[dict[str, object]]:
    """The rows of all JSONL files that bear one of these ids. Only lines that could are parsed: a year of nights is gigabytes."""
    needles = [json.dumps(name, ensure_ascii=False)[1:-1].encode() for name in names]
    for path in folder.glob("*.jsonl*"):
        for line in path.read_bytes().splitlines():
            if any(needle in line for needle in needles) and (row := _bears(line, names)):
                yield row


def _bears(line: bytes, names: list[str]) -> dict[str, object] | None:
    """The row, when one of the ids is its own, its question's, or an example's; a line that a crash cut counts as one that is."""
    try:
        row = json.loads(line)
    except ValueError:
        return {"id": names[0], "question_id": names[-1]}
    ids = {str(row.get("id")), str(row.get("question_id")), *str(row.get("examples") or "").split(" ")}
    return row if ids & set(names) else None


def _dataset_of(run_folder: Path) -> str | None:
    """The name of the dataset its request names; None without one that can be read."""
    try:
        return Path(json.loads((run_folder / REQUEST_FILE).read_text(encoding="utf-8"))["dataset"]).name
    except (OSError, ValueError, KeyError, TypeError):
        return None
