"""What nights leave, made in milliseconds: folders as the stages write them, and their runs and versions in a real MLflow store."""

import json
import os
import shutil
import sqlite3
from datetime import datetime
from pathlib import Path

from mlflow import MlflowClient

from ghostwriter.home import Home
from ghostwriter.judging.mlmodel import DIGEST_TAG
from ghostwriter.judging.moves import CHAMPION, PREVIOUS
from ghostwriter.judging.promote import ADAPTER_FILE, adapter_digest, model_name
from ghostwriter.snapshot import read_manifest, set_current, write_snapshot
from ghostwriter.tasks.chain import mark_trained

STEM = "tester"
WEIGHTS = b"w" * 4_096


class Nights:
    """A home folder and a store to which nights can be added."""

    def __init__(self, folder: Path, client: MlflowClient, experiment: str) -> None:
        self.folder, self.home, self.client, self.experiment = folder, Home(folder / "home"), client, experiment
        self.champion: str | None = None

    @classmethod
    def begun(cls, folder: Path, empty_store: Path) -> "Nights":
        """Before the first night."""
        shutil.copyfile(empty_store, folder / "mlflow.db")
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        return cls.beginning(folder, client, client.create_experiment(STEM, artifact_location=str(folder / "artifacts")))

    @classmethod
    def beginning(cls, folder: Path, client: MlflowClient, experiment: str) -> "Nights":
        """Before the first night, in a store that is there."""
        client.create_registered_model(model_name(STEM))
        return cls(folder, client, experiment)

    def copied(self, folder: Path) -> "Nights":
        """The same in a place of its own: paths in rows and requests are moved with it."""
        shutil.copytree(self.folder, folder)
        for path in folder.glob("home/runs/*/**/request.json"):
            path.write_text(path.read_text().replace(str(self.folder), str(folder)))
            shutil.copystat(self.folder / path.relative_to(folder), path)
        columns = {"runs": "artifact_uri", "experiments": "artifact_location", "model_versions": "source"}
        with sqlite3.connect(folder / "mlflow.db") as connection:
            for table, column in columns.items():
                connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(self.folder), str(folder)))
        return Nights(folder, MlflowClient(f"sqlite:///{folder / 'mlflow.db'}"), self.experiment)

    def night(self, number: int, when: datetime, *, promote: bool = False) -> Path:
        """A snapshot, the dataset of it, the training on that, its evaluation; returns the run folder."""
        row = {"id": f"a{number}", "question_id": f"q{number}", "question": "Why?", "text": f"So {number}."}
        answers = write_snapshot(self.home.answers(STEM), "answers", STEM, {"answers.jsonl": [row]})
        parents = (read_manifest(answers).digest,)
        dataset = write_snapshot(self.home.datasets(STEM), "dataset", STEM, {"direct.jsonl": [row]}, parents=parents)
        folder = self.home.runs(STEM) / f"{number:016d}"
        run = self._trained(folder, dataset, number, when)
        self._evaluated(folder, dataset)
        set_current(answers)
        set_current(dataset)
        mark_trained(dataset, run)
        if promote:
            self._promote(folder, dataset, run, when)
        for each in (answers, dataset, folder):
            age(each, when)
        return folder

    def _trained(self, folder: Path, dataset: Path, number: int, when: datetime) -> str:
        (folder / "adapter").mkdir(parents=True)
        (folder / "adapter" / ADAPTER_FILE).write_bytes(WEIGHTS + str(number).encode())
        moment, tags = int(when.timestamp() * 1000), {"ghostwriter.kind": "train"}
        run = str(self.client.create_run(self.experiment, start_time=moment, tags=tags).info.run_id)
        self.client.log_artifacts(run, str(folder / "adapter"), "adapter")
        self.client.log_text(run, "figures", "measures.json")
        self.client.set_terminated(run, end_time=moment)
        (folder / "request.json").write_text(json.dumps({"dataset": str(dataset), "start": None}))
        (folder / "result.json").write_text(json.dumps({"run_id": run}))
        return run

    def _evaluated(self, folder: Path, dataset: Path) -> None:
        evaluation = folder / "evaluation-1"
        evaluation.mkdir()
        arms = [{"name": "base"}]
        if self.champion:
            arms.append({"name": "champion", "adapter": str(self.home.champions(STEM) / f"champion-v{self.champion}")})
        (evaluation / "request.json").write_text(json.dumps({"dataset": str(dataset), "arms": arms}))
        (evaluation / "result.json").write_text("{}")

    def _promote(self, folder: Path, dataset: Path, run: str, when: datetime) -> None:
        tags = {"dataset": read_manifest(dataset).digest, DIGEST_TAG: adapter_digest(folder / "adapter")}
        source = f"{self.client.get_run(run).info.artifact_uri}/adapter"
        version = str(self.client.create_model_version(model_name(STEM), source, run, tags=tags).version)
        if self.champion:
            self.client.set_registered_model_alias(model_name(STEM), PREVIOUS, self.champion)
        self.client.set_registered_model_alias(model_name(STEM), CHAMPION, version)
        self.champion = version
        fetched = self.home.champions(STEM) / f"champion-v{version}"
        fetched.mkdir(parents=True)
        (fetched / ADAPTER_FILE).write_bytes((folder / "adapter" / ADAPTER_FILE).read_bytes())
        age(fetched, when)

    def adapters(self) -> int:
        """How many trainings still have their adapter in the store."""
        runs = self.client.search_runs([self.experiment], max_results=1_000)
        return sum(any(item.path == "adapter" for item in self.client.list_artifacts(run.info.run_id)) for run in runs)


def age(folder: Path, when: datetime) -> None:
    """Make all that is in a folder as old as if it had been written then."""
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (when.timestamp(), when.timestamp()))
