"""A machine on which nights were lived through: its home, its database of either kind, its MLflow, its writers' folder."""

import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.collect import collect
from ghostwriter.database import open_database
from ghostwriter.distilling.distill import distill
from ghostwriter.home import Home
from ghostwriter.judging.moves import Move, make_move, now
from ghostwriter.judging.promote import model_name, roll_back
from ghostwriter.snapshot import set_current
from ghostwriter.tasks.chain import mark_trained
from ghostwriter.writer import Writer, load_writer
from tests.distill_case import endpoint, pairs
from tests.ghostwriter.keeping.nights_case import STEM, Nights
from tests.teacher_server import MODEL, TeacherServer
from tests.vote_case import vote

LONG_AGO = datetime(2026, 11, 1, tzinfo=UTC)
FILE = f"""
name = "Tess Ter"
language = "en"
[source]
kind = "jsonl"
account = "SOURCE"
[teacher]
connection = "teacher"
model = "{MODEL}"
answers = 30
max_tokens = 400
[evaluation]
heldout_questions = "heldout.txt"
"""


@dataclass
class Machine:
    """A home folder, its database, its MLflow and its writers' folder."""

    folder: Path
    database: str | None
    client: MlflowClient
    experiment: str
    patch: pytest.MonkeyPatch

    @property
    def home(self) -> Home:
        return Home(self.folder / "home")

    def use(self) -> None:
        """What is called now works on this machine."""
        self.patch.setenv("GHOSTWRITER_WRITERS", str(self.folder / "writers"))
        if self.database:
            self.patch.setenv("GHOSTWRITER_DATABASE_URL", self.database)
        else:
            self.patch.delenv("GHOSTWRITER_DATABASE_URL", raising=False)

    def writer(self) -> Writer:
        return load_writer(STEM)


numbers = count()


@pytest.fixture(name="machine")
def make_machine(tmp_path: Path, empty_store: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes an empty machine on `sqlite` or `postgres`."""

    def make(name: str, kind: str) -> Machine:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copyfile(empty_store, folder / "mlflow.db")
        database = None
        if kind == "postgres":
            url, own = request.getfixturevalue("postgres"), f"backup_{next(numbers)}"
            engine = create_engine(url, isolation_level="AUTOCOMMIT")
            with engine.connect() as connection:
                connection.execute(text(f'CREATE DATABASE "{own}"'))
            engine.dispose()
            database = url.replace("/postgres?", f"/{own}?")
        client = MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
        experiment = client.create_experiment(STEM, artifact_location=str(folder / "artifacts"))
        return Machine(folder, database, client, experiment, monkeypatch)

    return make


def lived_in(machine: Machine) -> None:
    """Three champions, the last one rolled back to the second; answers collected and bought; a vote; a trained dataset."""
    machine.use()
    nights = Nights.beginning(machine.folder, machine.client, machine.experiment)
    for number in range(3):
        nights.night(number, LONG_AGO, promote=True)
    name = model_name(STEM)
    make_move(machine.client, name, Move(kind="promotion", who="me", when=now(), old="2", new="3", why="better"))
    roll_back(machine.client, machine.home, STEM, who="me", why="it loops")
    rows = [{"id": row["id"], "question_id": row["question_id"], "question": row["question"], "answer": row["text"]} for row in pairs(40)]
    (machine.folder / "source.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (machine.folder / "heldout.txt").write_text("q1\nq2\nq3\nq4\n")
    (machine.folder / "writers").mkdir()
    (machine.folder / "writers" / f"{STEM}.toml").write_text(FILE.replace("SOURCE", str(machine.folder / "source.jsonl")))
    assert night(machine) >= 30
    with Session(engine := open_database(machine.home.database_url)) as session:
        vote(engine, "a", writer=STEM)
        session.commit()
    engine.dispose()


def night(machine: Machine) -> int:
    """Collect and distil as a night does; returns how many answers were bought."""
    writer, home = machine.writer(), machine.home
    collect(writer, home)
    answers = snapshot_answers(writer, home)
    with TeacherServer() as teacher:
        made = distill(writer, home, answers, endpoint(teacher))
        set_current(made)
        mark_trained(made, "run")
        return teacher.completions
