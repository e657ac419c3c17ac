"""A program on a leash ends with whoever holds it, however that ends."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import psutil
import pytest

from ghostwriter.home import ROOT
from tests.ghostwriter.serving.rig import has_ended, wait

Leash = subprocess.Popen[bytes]
PROGRAM = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"
ENDS: dict[str, Callable[[Leash], None]] = {
    "its input ends": lambda leash: leash.stdin.close() if leash.stdin else None,
    "it is told to end": lambda leash: leash.send_signal(signal.SIGTERM),
}


@pytest.fixture
def leash() -> Iterator[Leash]:
    own = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
    command = [sys.executable, "-m", "ghostwriter.serving.leash", sys.executable, "-c", PROGRAM]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=own) as process:
        yield process


def below(leash: Leash) -> list[psutil.Process]:
    """The program and what it started."""
    wait(lambda: len(psutil.Process(leash.pid).children(recursive=True)) == 2, 30, "the program and its child")
    return psutil.Process(leash.pid).children(recursive=True)


@pytest.mark.parametrize("end", ENDS)
def test_all_ends_when(leash: Leash, end: str) -> None:
    processes = below(leash)
    ENDS[end](leash)
    assert leash.wait(20) == 128 + signal.SIGTERM
    wait(lambda: all(has_ended(each) for each in processes), 10, "the end of all")


def test_ctrl_c_is_not_for_it(leash: Leash) -> None:
    processes = below(leash)
    leash.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        leash.wait(0.5)
    assert not any(has_ended(each) for each in processes)
    leash.send_signal(signal.SIGTERM)
    leash.wait(20)
