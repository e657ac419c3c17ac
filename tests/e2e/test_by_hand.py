"""`python -m ghostwriter run`: a night by hand on a real MLflow that it starts itself, and a stage alone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ghostwriter.home import ROOT, Home
from ghostwriter.launchers.local import training_python
from tests.e2e.world import free_port

ROWS = 80
WRITER = """
name = "Odessa Lamplight"
language = "en"
[source]
kind = "jsonl"
account = "{answers}"
[teacher]
connection = "none"
model = "none"
[training]
arm = "direct"
recipe = "tiny"
[evaluation]
questions = 5
max_new_tokens = 8
cut_answers = true
ability = false
[gate]
max_unfinished_share = 1
min_length_ratio = 0
max_style_drop = 9
max_rep4_rise = 1
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An empty home, a writer file, the tiny model, and ports of its own."""
    folder = tmp_path_factory.mktemp("by-hand")
    (folder / "writers").mkdir()
    rows = (ROOT / "demo" / "corpus" / "lamplight.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "answers.jsonl").write_text("".join(rows[:ROWS]), encoding="utf-8")
    (folder / "writers" / "hand.toml").write_text(WRITER.format(answers=folder / "answers.jsonl"))
    models = Home(folder / "home").models
    subprocess.run([training_python(), ROOT / "tests" / "tiny_model.py", models / "tiny-random-qwen2"], check=True, timeout=120)
    settings = {"GHOSTWRITER_HOME": folder / "home", "GHOSTWRITER_WRITERS": folder / "writers"}
    ports = {"AIRFLOW_PORT": free_port(), "MLFLOW_PORT": free_port()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "MLFLOW"))}
    return {**kept, **{name: str(value) for name, value in {**settings, **ports}.items()}}


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ghostwriter", "run", "hand", *arguments]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)


def test_a_stage_that_lacks_what_comes_before_says_what_to_run(environment: dict[str, str]) -> None:
    refused = run(environment, "distil")
    assert refused.returncode == 1
    assert "snapshot: There are no answers of Odessa Lamplight yet: run collect and snapshot first." in refused.stderr
    assert "There is no stage 'distill'" in run(environment, "distill").stderr


def test_a_night_by_hand_ends_with_a_champion_and_is_over_at_once_the_second_time(environment: dict[str, str]) -> None:
    night = run(environment)
    assert night.returncode == 0, night.stderr
    done = [line.split()[0] for line in night.stderr.splitlines() if line.split()[1:2] == ["done"]]
    assert done == ["collect", "snapshot", "distil", "train", "evaluate", "judge", "promote"]
    assert "Version 1 is the champion." in night.stderr
    again = run(environment, "promote")
    assert "this adapter is the champion already" in again.stderr
    assert not (Path(environment["GHOSTWRITER_HOME"]) / "by-hand" / "services.json").exists(), "MLflow was stopped"
