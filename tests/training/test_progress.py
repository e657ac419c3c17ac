"""A bar on a terminal, lines elsewhere, silence when nobody reads."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from training.progress import Progress

PROGRAM = """
import sys
from pathlib import Path
from training.progress import Progress
with Progress(Path(sys.argv[1]), "train", 3, "steps") as progress:
    for done in (1, 2, 3):
        sys.stdin.readline()
        progress.update(done)
"""


def test_work_goes_on_when_nobody_reads_its_lines_any_more(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([sys.executable, "-c", PROGRAM, tmp_path], text=True, **pipes) as child:
        assert child.stdin and child.stdout
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "train: 1/3 steps\n"
        child.stdout.close()
        child.stdin.write("\n\n")
        child.stdin.close()
        assert child.wait(60) == 0
    assert json.loads((tmp_path / "progress.json").read_text())["done"] == 3


def test_without_a_terminal_there_is_a_line_every_so_many_steps_and_at_the_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for silent in (False, True):
        with Progress(tmp_path, "train", 25, "steps", line_every=10, silent=silent) as progress:
            for done in range(1, 26):
                progress.update(done, f"loss {done}")
    assert capsys.readouterr().out.splitlines() == [
        "train: 10/25 steps  loss 10",
        "train: 20/25 steps  loss 20",
        "train: 25/25 steps  loss 25",
    ]
    assert json.loads((tmp_path / "progress.json").read_text()) == {"stage": "train", "done": 25, "total": 25, "unit": "steps"}


def test_on_a_terminal_there_is_a_bar_and_no_lines(tmp_path: Path) -> None:
    terminal, other_end = pty.openpty()
    child = subprocess.run([sys.executable, "-c", PROGRAM, tmp_path], input=b"\n\n\n", stdout=subprocess.PIPE, stderr=other_end, timeout=60)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    os.close(other_end)
    assert child.stdout == b""
    assert "train" in shown and "3/3" in shown and "━" in shown
