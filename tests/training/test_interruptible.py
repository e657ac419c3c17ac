"""Work in a child process: its value comes back, a signal ends it at once, and its death is said."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.training.conftest import ROOT, environment
from training.errors import Stopped, TrainingError
from training.interruptible import in_child
from training.signals import StopFlag


def test_what_the_work_returns_comes_back() -> None:
    assert in_child(StopFlag(), "kept", divmod, 17, 5) == (3, 2)
    assert len(in_child(StopFlag(), "kept", np.zeros, 1_000_000)) == 1_000_000


def test_a_signal_ends_it_within_a_second() -> None:
    stop = StopFlag()
    threading.Timer(1.0, lambda: setattr(stop, "signal", signal.SIGTERM)).start()
    began = time.monotonic()
    with pytest.raises(Stopped, match=r"Stopped by SIGTERM\. All is kept\."):
        in_child(stop, "All is kept.", time.sleep, 60)
    assert time.monotonic() - began < 5


def test_a_child_that_dies_is_said() -> None:
    with pytest.raises(TrainingError, match="Measuring ended with status 3; what went wrong stands above"):
        in_child(StopFlag(), "kept", os._exit, 3)


def test_a_signal_that_ends_both_is_no_failure_of_the_child() -> None:
    stop = StopFlag()
    before = signal.signal(signal.SIGTERM, lambda number, _frame: setattr(stop, "signal", number))
    try:
        with pytest.raises(Stopped, match="Stopped by SIGTERM"):
            in_child(stop, "All is kept.", end_parent_and_self, os.getpid())
    finally:
        signal.signal(signal.SIGTERM, before)


def end_parent_and_self(parent: int) -> None:
    os.kill(parent, signal.SIGTERM)
    os._exit(1)


ORPHANED = """
import os, sys, time
from pathlib import Path
from training.interruptible import in_child
from training.signals import StopFlag

def leave_id(path):
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(str(os.getpid()))
    unfinished.replace(path)
    time.sleep(60)

if __name__ == "__main__":
    in_child(StopFlag(), "kept", leave_id, Path(sys.argv[1]))
"""


def test_a_killed_parent_leaves_no_orphan(tmp_path: Path) -> None:
    program, path = tmp_path / "program.py", tmp_path / "id"
    program.write_text(ORPHANED)
    parent = subprocess.Popen([sys.executable, program, path], cwd=ROOT, env={**environment(), "PYTHONPATH": str(ROOT)})
    wait_for(path.exists)
    child = int(path.read_text())
    parent.kill()
    parent.wait()
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def wait_for(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)
