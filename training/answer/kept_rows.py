"""What a model computed before, kept in files: a killed evaluation does not ask again, nor does the next night's.

A file is named by what decides its figures (the model, what is computed), its lines by what they are about. Lines are
only ever appended; one cut by a kill is not read.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from training.files import prune, touch

MOST_BYTES = 2 * 2**30
"""Of all kept lines: a year of nights of a dozen writers."""
Facts = dict[str, Any]
Compute = Callable[[Sequence[Any]], Iterable[Facts]]


class KeptRows:
    """The kept lines of one model and one kind of figure."""

    def __init__(self, folder: Path, *identity: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]}.jsonl"
        self._rows: dict[str, Facts] = {}
        touch(self._path)
        whole = self._path.read_bytes() if self._path.exists() else b""
        for line in whole.splitlines(keepends=True):
            if line.endswith(b"}\n"):
                row = json.loads(line)
                self._rows[row.pop("of")] = row
        if whole and not whole.endswith(b"\n"):
            self._append(b"\n")

    def rows(self, items: Sequence[Any], batch: int, compute: Compute, say: Callable[[int], None]) -> list[Facts]:
        """One row for each item (anything that JSON can say), in order; those not kept are computed `batch` at a time.

        `say` gets the count done.
        """
        keys = [hashlib.sha256(json.dumps(item).encode()).hexdigest()[:32] for item in items]
        missing = list({key: item for key, item in zip(keys, items, strict=True) if key not in self._rows}.items())
        say(len(items) - len(missing))
        for start in range(0, len(missing), batch):
            part = missing[start : start + batch]
            new = dict(zip((key for key, _ in part), compute([item for _, item in part]), strict=True))
            self._append("".join(json.dumps({"of": key, **row}, ensure_ascii=False) + "\n" for key, row in new.items()).encode())
            self._rows |= new
            say(len(items) - len(missing) + start + len(part))
        return [self._rows[key] for key in keys]

    @staticmethod
    def prune(folder: Path) -> None:
        """Remove what was used longest ago when a folder has grown beyond MOST_BYTES."""
        prune(folder, MOST_BYTES)

    def _append(self, lines: bytes) -> None:
        with self._path.open("ab") as file:
            file.write(lines)
