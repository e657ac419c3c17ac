"""The multiplication check from its command line, as a real process with a real MLflow server; and what it refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.training.child import Child
from tests.training.conftest import ROOT, environment
from training.arithmetic.check import CPU_DEFAULTS, GPU_DEFAULTS, main
from training.contract import load_recipe

SMALL = [
    "--recipe",
    "tiny",
    "--samples",
    "8",
    "--digits",
    "1",
    "--epochs",
    "2",
    "--pairs",
    "4",
    "--reworded-pairs",
    "1",
    "--beyond-pairs",
    "0",
]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "training.arithmetic", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, env={**environment(), "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=200)


def run_again(folder: Path, *arguments: str | Path) -> str:
    """The same without waiting for the imports; what it said."""
    child = Child(folder / "said.txt", *arguments, module="training.arithmetic.check")
    assert child.wait() == 0, child.said.read_text()
    return child.said.read_text()


def test_a_finished_check_shows_in_mlflow_as_one_run_with_its_parts_below_it_when_asked_for(
    tmp_path: Path, models: Path, mlflow_uri: str
) -> None:
    client, options = MlflowClient(mlflow_uri), [*SMALL, "--out", tmp_path / "out", "--models", models]
    done = run(*options)
    assert done.returncode == 0, done.stdout + done.stderr
    shown = run_again(tmp_path, *options, "--mlflow", mlflow_uri)
    experiment = client.get_experiment_by_name("multiplication")
    assert experiment is not None, shown
    runs = {found.info.run_name: found for found in client.search_runs([experiment.experiment_id])}
    files = {path.path for path in client.list_artifacts(runs["examine"].info.run_id)}
    points = client.get_metric_history(runs["examine"].info.run_id, "unseen/product_share")
    run_again(tmp_path, *options, "--mlflow", mlflow_uri)
    runs_again = client.search_runs([experiment.experiment_id])
    assert set(runs) == {"tiny", "train", "examine", "base", "one-example", "epoch-2"}
    assert {found.info.status for found in runs.values()} == {"FINISHED"}
    parents = {name: found.data.tags.get("mlflow.parentRunId") for name, found in runs.items()}
    assert parents["train"] == parents["examine"] == runs["tiny"].info.run_id
    assert parents["base"] == parents["epoch-2"] == runs["examine"].info.run_id
    assert {"table.md", "report.html", "accuracy.png", "article.json", "wrong_chains.json"} <= files
    tables = json.loads(runs["examine"].data.tags["mlflow.loggedArtifacts"])
    assert [table["path"] for table in tables] == ["article.json", "wrong_chains.json"]
    assert [point.step for point in points] == [0, 2]
    assert "train/loss" in runs["train"].data.metrics
    assert "| base | 40 to 50 % | 0.0 % |" in runs["tiny"].data.tags["mlflow.note.content"]
    assert runs["tiny"].data.params["samples"] == "8"
    assert {"unseen/chain_share", "reworded/least_chain_share", "seconds"} <= set(runs["tiny"].data.metrics)
    summary = json.loads(next((tmp_path / "out").rglob("summary.json")).read_text())
    assert summary["training"]["steps"] == 2
    assert set(summary["seconds"]) == {"data", "training", "examination", "whole"}
    assert summary["examination"]["scores"]["epoch-2"]["reworded-12"]["questions"] == 1
    assert "after epoch 2" in done.stdout
    assert "The same check was finished before; nothing is computed again." in shown
    assert done.stdout[-200:] in shown
    assert {(found.info.run_id, found.info.status) for found in runs_again} == {(found.info.run_id, "FINISHED") for found in runs.values()}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--digits", "0"], "--digits 0: Input should be greater than or equal to 1."),
        (["--samples", "-5"], "--samples -5: Input should be greater than or equal to 1."),
        (["--digits", "40"], "--digits 40: Input should be less than or equal to 6."),
        (["--phrasings", "13"], "--phrasings 13: Input should be less than or equal to 12."),
        (["--epochs", "0"], "--epochs 0: Input should be greater than or equal to 1."),
        (["--recipe", "nope"], "There is no recipe 'nope'; there are: qwen2.5-7b-arithmetic,"),
    ],
)
def test_a_bad_option_is_refused_in_words(arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import signal

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        assert main([*arguments, "--out", str(tmp_path)]) == 1
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err.startswith(words)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("batch", ["0", "-1", "x", "1.5"])
def test_a_bad_batch_is_refused_before_anything_is_trained(batch: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--batch", batch, "--out", str(tmp_path)])
    assert ended.value.code == 2
    assert f"argument --batch: '{batch}' is not a whole number of 1 or more" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_defaults_are_the_articles_and_the_cpu_form_is_one_digit_by_one() -> None:
    assert (GPU_DEFAULTS["samples"], GPU_DEFAULTS["digits"], GPU_DEFAULTS["pairs"]) == (10_000, 3, 500)
    assert (CPU_DEFAULTS["digits"], CPU_DEFAULTS["phrasings"], CPU_DEFAULTS["reworded_pairs"]) == (1, 1, 0)
    for defaults in (GPU_DEFAULTS, CPU_DEFAULTS):
        assert load_recipe(defaults["recipe"]).keep_epochs
    large = load_recipe(GPU_DEFAULTS["recipe"])
    assert (large.rank, large.alpha, large.epochs, large.batch, large.max_length, large.too_long) == (128, 128, 3, 32, 2000, "refuse")
