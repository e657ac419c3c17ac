"""A stage that is told to end: it hears of a dead launcher, a second signal ends it at once, and the kernel ends it after a minute."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
STAGE = """
import sys, time
from training.command import guarded
from training import signals
signals.LONGEST_END_SECONDS = 1
def work():
    stop = signals.StopFlag().listen()
    print("at work", flush=True)
    while not stop.is_set or "stubborn" in sys.argv:
        time.sleep(0.01)
    print("saved", flush=True)
    time.sleep(float("slow" in sys.argv) * 0.4)
    stop.raise_stopped("All is kept.")
sys.exit(guarded(work))
"""


def start(*arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", STAGE, *arguments]
    stage = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert stage.stdout and stage.stdout.readline() == "at work\n"
    return stage


@pytest.mark.parametrize(
    ("arguments", "signals", "status"),
    [
        ((), [signal.SIGTERM], 143),
        ((), [signal.SIGHUP], 143),
        (("slow",), [signal.SIGTERM, signal.SIGHUP], 143),
        (("stubborn",), [signal.SIGTERM, signal.SIGTERM], -signal.SIGTERM),
        (("stubborn",), [signal.SIGTERM], -signal.SIGALRM),
        (("stubborn",), [signal.SIGHUP, signal.SIGHUP], -signal.SIGALRM),
    ],
    ids=["asked", "launcher gone", "asked, then launcher gone", "asked twice", "does not end", "launcher gone, does not end"],
)
def test_how_a_stage_ends(arguments: tuple[str, ...], signals: list[signal.Signals], status: int) -> None:
    with start(*arguments) as stage:
        for number in signals:
            stage.send_signal(number)
            time.sleep(0.1)
        said, _ = stage.communicate(timeout=20)
    assert stage.returncode == status
    assert ("All is kept." in said) == (status == 143)


def test_a_stage_whose_launcher_is_killed_ends_with_what_it_has() -> None:
    launcher = (
        "import os, subprocess, sys\n"
        "os.environ['GHOSTWRITER_LAUNCHER_PID'] = str(os.getpid())\n"
        f"subprocess.run([sys.executable, '-c', {STAGE!r}])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        [sys.executable, "-c", launcher], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as running:
        assert running.stdout and running.stdout.readline() == "at work\n"
        running.kill()
        assert running.stdout.read() == "saved\nStopped by SIGHUP. All is kept.\n"


def test_what_is_started_to_outlive_its_terminal_goes_on() -> None:
    program = STAGE.replace("import sys, time", "import signal, sys, time; signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    ) as stage:
        assert stage.stdout and stage.stdout.readline() == "at work\n"
        stage.send_signal(signal.SIGHUP)
        time.sleep(0.2)
        assert stage.poll() is None
        stage.send_signal(signal.SIGTERM)
        assert stage.wait(20) == 143
