"""How far a stage is: a bar on a terminal, else a line now and then; and `progress.json` for a supervisor to read."""

import json
import os
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress as Bar, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from training.files import write_file

PROGRESS_FILE = "progress.json"
FILE_SECONDS = 1.0


class Progress:
    """Use as a context manager; `line_every` is how many units pass between two printed lines when there is no terminal.

    With `silent` only the file is written.
    """

    def __init__(
        self, run_folder: Path, stage: str, total: int, unit: str, *, line_every: int = 1, done: int = 0, silent: bool = False
    ) -> None:
        self._path, self._stage, self._total, self._unit = run_folder / PROGRESS_FILE, stage, total, unit
        self._line_every, self._done = line_every, done
        self._written = 0.0
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[facts]}"))
        self._says_lines = not silent and not sys.stderr.isatty()
        times = TimeElapsedColumn(), TimeRemainingColumn()
        self._bar = Bar(*columns, *times, console=Console(stderr=True), disable=silent or self._says_lines)
        self._task = self._bar.add_task(stage, total=total, completed=done, facts="")

    def __enter__(self) -> Self:
        self._bar.start()
        self._write_file()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._bar.stop()
        self._write_file()

    def update(self, done: int, facts: str = "") -> None:
        """Say that `done` units are done; `facts` is a short text such as the current loss."""
        before, self._done = self._done, done
        self._bar.update(self._task, completed=done, facts=facts)
        if self._says_lines and (done == self._total or done // self._line_every > before // self._line_every):
            _say(f"{self._stage}: {done}/{self._total} {self._unit}  {facts}".rstrip())
        if time.monotonic() - self._written >= FILE_SECONDS:
            self._write_file()

    def replan(self, total: int) -> None:
        """Say that there are fewer or more units than was thought."""
        self._total = total
        self._bar.update(self._task, total=total)

    def _write_file(self) -> None:
        facts = {"stage": self._stage, "done": self._done, "total": self._total, "unit": self._unit}
        write_file(self._path, json.dumps(facts), synced=False)
        self._written = time.monotonic()


def _say(line: str) -> None:
    """Print a line. When the launcher was killed nobody reads any more: work on in silence, since its retry waits for this process."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        silence = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.stdout, sys.stderr):
            os.dup2(silence, stream.fileno())
