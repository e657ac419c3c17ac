"""The embedded Airflow and MLflow with writers whose answers lie in files and whose trainings are stand-ins: nights in seconds."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests

from ghostwriter.embedded.airflow_api import AirflowApi, Json
from ghostwriter.embedded.services import Supervisor, wait_until
from ghostwriter.embedded.stack import Ports, Stack
from ghostwriter.errors import ServiceError
from ghostwriter.home import ROOT, Home
from ghostwriter.snapshot import newest, read_manifest
from ghostwriter.tasks.chain import TRAINED
from tests.distill_case import pairs
from tests.e2e.world import free_port

STAGES = ("collect", "distill", "train")
START_SECONDS = 600.0
LOCKED_TRIES = 5
QUIET_LOOKS = 4
"""One a second: what an event wakes is a run only a moment later."""
IMPATIENT = """from datetime import timedelta


def task_policy(task):
    task.retry_delay, task.retry_exponential_backoff = timedelta(seconds=2), 0
"""
"""For Airflow's own `airflow_local_settings.py`: nobody waits minutes for a retry here."""
FIRST_NIGHT = datetime(2026, 1, 1, 3, tzinfo=UTC)
WRITER_FILE = """
name = "{stem}"
language = "en"
[source]
kind = "jsonl"
account = "{answers}"
[schedule]
cron = ""
[teacher]
connection = "teacher"
model = "test-teacher"
{teacher}
[training]
arm = "{arm}"
recipe = "tiny"
"""


@dataclass
class Installation:
    """What runs, and what its writers' nights leave behind."""

    home: Home
    writers: Path
    ports: Ports
    api: AirflowApi
    up: subprocess.Popen[bytes]
    """`python -m ghostwriter up`."""

    @property
    def mlflow_url(self) -> str:
        """Where MLflow is."""
        return f"http://127.0.0.1:{self.ports.mlflow}"

    def page(self) -> requests.Response:
        """Ghostwriter's page in Airflow, as a person who is logged in sees it."""
        login = {"username": "admin", "password": self.api.password}
        token = requests.post(f"{self.api.url}/auth/token", json=login, timeout=30).json()["access_token"]
        answer = requests.get(f"{self.api.url}/ghostwriter/", headers={"Authorization": f"Bearer {token}"}, timeout=60)
        answer.raise_for_status()
        return answer

    def new_api(self) -> AirflowApi:
        """A client of its own, for another thread."""
        return AirflowApi(self.api.url, self.api.password)

    def start(self) -> None:
        """`make start`: returns when Airflow and MLflow are healthy."""
        self.up = _start(self.home, self.ports)

    def add_writer(self, stem: str, *, answers: int = 40, arm: str = "direct", teacher: str = "") -> None:
        """A writer with so many answers, who trains on their own words unless `arm` says otherwise."""
        self.publish(stem, answers)
        path = self.writers / f"{stem}.jsonl"
        (self.writers / f"{stem}.toml").write_text(WRITER_FILE.format(stem=stem, answers=path, arm=arm, teacher=teacher))

    def publish(self, stem: str, number: int, start: int = 0) -> None:
        """The writer's answers `start` to `start + number`, after those there are."""
        with (self.writers / f"{stem}.jsonl").open("a") as file:
            for row in pairs(number, seed=sum(stem.encode()), start=start):
                file.write(json.dumps({"id": row["id"], "question": row["question"], "answer": row["text"]}) + "\n")

    def wait_for_dags(self, stems: Sequence[str], seconds: float = 300) -> None:
        """Until Airflow knows the writers' DAGs; collecting is switched on."""
        dags = [f"{stem}_{stage}" for stem in stems for stage in STAGES]
        wait_until(lambda: all(self.api.has_dag(dag) for dag in dags), seconds, "Parsing the DAGs")
        for stem in stems:
            self.api.unpause(f"{stem}_collect")

    def night(self, stem: str, number: int) -> str:
        """Start collecting with the night's date; returns the run. On a busy machine Airflow's SQLite is locked for seconds."""
        asked = {"logical_date": (FIRST_NIGHT + timedelta(days=number)).isoformat(), "conf": {}}
        for _ in range(LOCKED_TRIES):
            with suppress(ServiceError):
                return str(self.api.post(f"dags/{stem}_collect/dagRuns", asked)["dag_run_id"])
            time.sleep(2)
        return str(self.api.post(f"dags/{stem}_collect/dagRuns", asked)["dag_run_id"])

    def runs(self, stem: str, stage: str) -> list[Json]:
        """The latest runs of a stage."""
        return self.api.runs(f"{stem}_{stage}")

    def is_quiet(self, stem: str) -> bool:
        """Whether no run of the writer waits or works; one request, since many weeks ask again and again."""
        asked = {"dag_ids": [f"{stem}_{stage}" for stage in STAGES], "states": ["queued", "running"], "page_limit": 1}
        return not self.api.post("dags/~/dagRuns/list", asked)["dag_runs"]

    def wait_quiet(self, stem: str, seconds: float) -> None:
        """Until the night has ended: what an event has woken is a run a moment later."""
        deadline, quiet = time.monotonic() + seconds, 0
        while (quiet := quiet + 1 if self.is_quiet(stem) else 0) < QUIET_LOOKS:
            if time.monotonic() > deadline:
                raise ServiceError(f"The night of {stem} did not end in {seconds:.0f} s.")
            time.sleep(1)

    def trainings(self, stem: str | None = None, event: str = "end") -> list[Json]:
        """What the stand-in has written down."""
        path = self.home.path / "stages.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        return [line for line in lines if line["event"] == event and stem in (None, line["writer"])]

    def set_stages(self, stem: str = "", **settings: Any) -> None:
        """How long a writer's training takes (`seconds`), how long it saves (`saving_seconds`), whether it `fails`; or everybody's."""
        (self.home.path / f"stages{stem and f'-{stem}'}.json").write_text(json.dumps({"seconds": 0.2, **settings}))

    def faults_of(self, stem: str) -> list[str]:
        """What is wrong after a free night; nothing, when the newest snapshot was trained on and each one once and in order."""
        answers, dataset = newest(self.home.answers(stem)), newest(self.home.datasets(stem))
        if not answers or not dataset:
            return ["there is no snapshot or no dataset"]
        faults = []
        if read_manifest(dataset).parents != (read_manifest(answers).digest,):
            faults.append(f"the newest dataset {dataset.name} is not of the newest answers {answers.name}")
        if not (dataset / TRAINED).exists():
            faults.append(f"{dataset.name} was not trained on")
        trained = [line["dataset"] for line in self.trainings(stem)]
        if len(trained) != len(set(trained)):
            faults.append(f"something was trained on twice: {trained}")
        created = [read_manifest(self.home.datasets(stem) / name).created for name in trained]
        if created != sorted(created):
            faults.append(f"an older dataset was trained on after a newer: {trained}")
        return faults


@contextmanager
def installed(home: Home, writers: Path, **environment: str) -> Iterator[Installation]:
    """The installation on an empty home folder, until the block ends; `environment` is of Airflow's processes."""
    saved = dict(os.environ)
    interpreter = home.path / "python"
    home.path.mkdir(parents=True, exist_ok=True)
    writers.mkdir(parents=True, exist_ok=True)
    program = Path(__file__).with_name("fake_stage.py")
    interpreter.write_text(f'#!/bin/sh\nexec {sys.executable} {program} "$3" "$4"\n')
    interpreter.chmod(0o755)
    policies = home.path / "airflow" / "config" / "airflow_local_settings.py"
    policies.parent.mkdir(parents=True, exist_ok=True)
    policies.write_text(IMPATIENT)
    environment = {"AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "25", **environment}
    names = {"GHOSTWRITER_HOME": home.path, "GHOSTWRITER_WRITERS": writers, "GHOSTWRITER_TRAINING_PYTHON": interpreter}
    os.environ.update({name: str(value) for name, value in {**names, **environment}.items()})
    for name in ("AIRFLOW_HOME", "AIRFLOW__CORE__UNIT_TEST_MODE"):
        os.environ.pop(name, None)
    try:
        ports = Ports(free_port(), free_port())
        stack = Stack(home, ports, Supervisor(home.path))
        api = AirflowApi(stack.airflow_url, stack.password())
        installation = Installation(home, writers, ports, api, _start(home, ports))
        try:
            installation.set_stages()
            yield installation
        finally:
            installation.up.terminate()
            installation.up.wait()
    finally:
        os.environ.clear()
        os.environ.update(saved)


def _start(home: Home, ports: Ports) -> "subprocess.Popen[bytes]":
    log = home.path / "up.log"
    environment = {**os.environ, "AIRFLOW_PORT": str(ports.airflow), "MLFLOW_PORT": str(ports.mlflow)}
    with log.open("wb") as file:
        command = [sys.executable, "-m", "ghostwriter", "up", "--home", str(home.path)]
        up = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
    deadline = time.monotonic() + START_SECONDS
    try:
        while b"Ctrl-C stops" not in log.read_bytes():
            if up.poll() is not None or time.monotonic() > deadline:
                raise ServiceError(f"up did not come up: {log.read_text()[-3000:]}")
            time.sleep(0.25)
    except BaseException:  # also Ctrl-C: nobody else knows of this process yet
        up.terminate()
        up.wait()
        raise
    return up
