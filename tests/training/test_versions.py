"""The line that says what a training runs on, and the table it is held against."""

import re
import subprocess
import sys
from pathlib import Path

import torch

from training.versions import SEEN_ON_A_GPU, versions_line, was_seen

REQUIREMENTS = Path(__file__).parents[2] / "requirements"


def run(*arguments: str) -> str:
    return subprocess.run([sys.executable, "-m", "training", *arguments], capture_output=True, text=True, check=True).stdout


def test_the_command_alone_says_in_one_line_what_it_runs_on_and_what_no_gpu_has_seen() -> None:
    said = run()
    assert versions_line() in said.splitlines()
    assert f"torch {torch.__version__}" in versions_line()
    assert run("--version").splitlines() == [versions_line()]


def test_where_libraries_are_missing_it_does_not_say_that_all_was_seen(tmp_path: Path) -> None:
    said = [_said_with(tmp_path / str(number), found) for number, found in enumerate([{}, {"torch": "2.11.0"}, {"torch": "2.13.0"}])]
    assert said[0] == "None of torch, triton, liger-kernel, transformers, peft is installed here: run it in the training environment."
    assert said[1].endswith("no peft; what is there was seen on a GPU.")
    assert said[2].endswith("no peft. Never seen on a GPU: torch 2.13.0 (2.11.0 was).")


def _said_with(folder: Path, installed: dict[str, str]) -> str:
    """The line of a Python that finds no other packages than these, by their metadata."""
    for name, version in installed.items():
        (folder / f"{name}-{version}.dist-info").mkdir(parents=True)
        (folder / f"{name}-{version}.dist-info" / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    program, paths = "from training.versions import versions_line; print(versions_line())", f"{REQUIREMENTS.parent}:{folder}"
    command = [sys.executable, "-S", "-c", program]
    return subprocess.run(command, env={"PYTHONPATH": paths}, capture_output=True, text=True, check=True).stdout.strip()


def test_a_builds_mark_makes_no_other_version() -> None:
    assert was_seen("torch", "2.11.0+cu130")
    assert not was_seen("torch", "2.13.0")


def test_the_table_of_the_requirements_is_that_of_the_program_and_of_the_lock() -> None:
    rows = re.findall(r"^\| ([\w-]+) \| (\S+|comes with torch) \| ([\d., ]+) \|$", (REQUIREMENTS / "README.md").read_text(), re.MULTILINE)
    assert {name: tuple(seen.split(", ")) for name, _, seen in rows} == SEEN_ON_A_GPU
    locked = dict(line.split("  ")[0].strip().split("==") for file in ("training.txt", "gpu.txt") for line in _pins(REQUIREMENTS / file))
    assert {name: version for name, version, _ in rows if name != "triton"} == {
        name: locked[name] for name in SEEN_ON_A_GPU if name != "triton"
    }


def _pins(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if re.match(r"[\w-]+==", line)]
