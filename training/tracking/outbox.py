"""What is to be told to MLflow, as lines in the run folder: written at once, sent when the server answers.

`outbox.jsonl` has one entry a line; `outbox.sent` has the byte offset up to which MLflow has them. An entry is
`{"run": child name or "", "kind": ..., ...}`; the kinds are those of `training.sender`.
"""

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from training.files import write_file

ENTRIES, SENT = "outbox.jsonl", "outbox.sent"
Entry = dict[str, Any]


class Pending(NamedTuple):
    """An entry that was not sent yet, and the offset to remember once it was."""

    entry: Entry
    end: int


class Outbox:
    """The queue of one run folder; a last line cut by a kill is removed when it is opened."""

    def __init__(self, run_folder: Path) -> None:
        self._entries, self._sent = run_folder / ENTRIES, run_folder / SENT
        self._entries.touch()
        content = self._entries.read_bytes()
        if content and not content.endswith(b"\n"):
            os.truncate(self._entries, content.rfind(b"\n") + 1)
        self._file = self._entries.open("ab")

    def add(self, entry: Entry) -> None:
        """Append an entry; it is on its way to the disk when this returns."""
        self._file.write((json.dumps(entry, ensure_ascii=False) + "\n").encode())
        self._file.flush()

    def close(self) -> None:
        """Take no more entries; those there can still be read."""
        self._file.close()

    def pending(self, limit: int = 200) -> list[Pending]:
        """The first entries that were not sent."""
        found: list[Pending] = []
        with self._entries.open("rb") as file:
            file.seek(self._offset())
            while len(found) < limit and (line := file.readline()).endswith(b"\n"):
                found.append(Pending(json.loads(line), file.tell()))
        return found

    def mark_sent(self, end: int) -> None:
        """Remember that MLflow has everything before the offset `end`."""
        write_file(self._sent, str(end), synced=False)  # sent twice after a power cut, never lost

    def last_step(self) -> int:
        """The highest step that metrics were added for, -1 for none."""
        return max((entry["step"] for entry in self._steps()), default=-1)

    def history(self, metric: str) -> dict[int, float]:
        """Step to value of one metric of the parent run."""
        return {entry["step"]: entry["values"][metric] for entry in self._steps() if metric in entry["values"] and not entry["run"]}

    def _steps(self) -> list[Entry]:
        entries = (json.loads(line) for line in self._entries.read_bytes().splitlines())
        return [entry for entry in entries if entry["kind"] == "metrics" and entry["step"] is not None]

    def _offset(self) -> int:
        return int(self._sent.read_text()) if self._sent.exists() else 0
