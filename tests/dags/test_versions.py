"""A DAG's version changes with its writer file and its code, never with what the nights leave: each version is kept for ever."""

from pathlib import Path

import pytest
from airflow.models.serialized_dag import SerializedDagModel
from airflow.serialization.serialized_objects import LazyDeserializedDAG

from ghostwriter.home import ROOT, Home
from ghostwriter.snapshot import set_current, write_snapshot
from ghostwriter.tasks.chain import mark_trained
from tests.dags.bag import read_dags

NIGHTS = 30


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / "writers").mkdir()
    for stem in ("lamplight", "dusk"):
        (tmp_path / "writers" / f"{stem}.toml").write_text((ROOT / "writers" / "lamplight.toml").read_text())
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path / "writers"))
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path / "home"))
    return Home.default()


def versions() -> dict[str, str]:
    """What Airflow compares to tell whether a DAG has a new version."""
    return {dag_id: SerializedDagModel.hash(LazyDeserializedDAG.from_dag(dag).data) for dag_id, dag in read_dags().dags.items()}


def night(home: Home, number: int) -> None:
    """What a night with news leaves: a snapshot, a dataset that was trained on, a run folder, a champion."""
    row = {"id": str(number), "question_id": str(number), "question": "Why? " * number, "text": "So. " * 10 * number}
    snapshot = write_snapshot(home.answers("lamplight"), "answers", "lamplight", {"answers.jsonl": [row] * number})
    dataset = write_snapshot(home.datasets("lamplight"), "dataset", "lamplight", {"distilled.jsonl": [row]})
    for folder in (snapshot, dataset):
        set_current(folder)
    mark_trained(dataset, "run")
    (home.models / "champions" / "lamplight" / f"champion-v{number}").mkdir(parents=True)
    (home.runs("lamplight") / f"run-{number}").mkdir(parents=True)


def test_thirty_nights_leave_one_version_of_each_dag(home: Home) -> None:
    before = versions()
    for number in range(1, NIGHTS + 1):
        night(home, number)
    assert len(before) > 10
    assert versions() == before


def test_what_changes_in_the_writer_file_is_another_version(home: Home) -> None:
    before = versions()
    file = home.path.parent / "writers" / "dusk.toml"
    file.write_text(file.read_text() + "\n[gate]\napproval = true\n")
    changed = {dag_id for dag_id, version in versions().items() if version != before[dag_id]}
    assert changed == {"dusk_train"}
