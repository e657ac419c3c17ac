"""A command with all its processes: how long, how much processor time, how much memory at most, and how soon it ends when asked to."""

import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

LOOK_SECONDS = 0.1


@dataclass(frozen=True)
class Usage:
    """`gib`: resident memory of all processes together, at its peak. `ending`: seconds from SIGTERM to the end, None without one, and
    the processor time between."""

    seconds: float
    processor: float
    gib: float
    status: int
    ending: float | None
    ending_processor: float


def watched(
    command: Sequence[str], environment: Mapping[str, str], said: Path, may_stop: Callable[[float], bool] = lambda _seconds: False
) -> Usage:
    """Run a command to its end, or ask it to end once `may_stop` says so of the seconds it has had. What it prints goes to `said`."""
    processor: dict[int, float] = {}
    peak, asked, before, began = 0, None, 0.0, time.monotonic()
    with said.open("wb") as file:
        process = psutil.Popen(command, env=dict(environment), stdout=file, stderr=subprocess.STDOUT)
        while process.poll() is None:
            peak = max(peak, _look(process, processor))
            if asked is None and may_stop(time.monotonic() - began):
                process.send_signal(signal.SIGTERM)
                asked, before = time.monotonic(), sum(processor.values())
            time.sleep(LOOK_SECONDS)
    ended, spent = time.monotonic(), sum(processor.values())
    ending = None if asked is None else ended - asked
    return Usage(ended - began, spent, peak / 2**30, process.returncode, ending, spent - before)


def _look(process: psutil.Process, processor: dict[int, float]) -> int:
    """Bytes that the process and its descendants hold; their processor time goes into `processor`."""
    held = 0
    for one in _tree(process):
        try:
            times = one.cpu_times()
            processor[one.pid] = times.user + times.system
            held += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return held


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []
