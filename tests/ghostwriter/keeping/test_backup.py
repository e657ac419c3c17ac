"""A backup made beside running work, restored onto an empty machine: the same champion, and nothing is bought again."""

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from sqlalchemy import create_engine, select, text
from sqlalchemy.orm import Session

from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.archive import FULL, Crawl, new_crawl
from ghostwriter.collecting.collect import collect
from ghostwriter.database import open_database
from ghostwriter.distilling.distill import distill
from ghostwriter.distilling.trained_on import trained_on
from ghostwriter.home import Home
from ghostwriter.judging.moves import Move, history, make_move, now
from ghostwriter.judging.promote import adapter_digest, fetch_champion, model_name, roll_back
from ghostwriter.keeping import restore as restoring
from ghostwriter.keeping.backup import Backup, BackupError, back_up
from ghostwriter.keeping.restore import restore
from ghostwriter.snapshot import set_current
from ghostwriter.tasks.chain import mark_trained, read_level
from ghostwriter.teacher.ledger import SendRow
from ghostwriter.writer import Writer, load_writer
from tests.distill_case import endpoint, pairs
from tests.ghostwriter.keeping.nights_case import STEM, Nights
from tests.teacher_server import KEY, MODEL, TeacherServer
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


@pytest.fixture
def machine(tmp_path: Path, empty_store: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Any:
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


def in_tables(machine: Machine) -> list[tuple[Any, ...]]:
    engine = open_database(machine.home.database_url)
    with engine.connect() as connection:
        sends = connection.execute(select(SendRow.id, SendRow.state, SendRow.cost).order_by(SendRow.id)).all()
        votes = connection.execute(text("SELECT count(*) FROM votes")).all()
    engine.dispose()
    return [tuple(row) for row in (*sends, *votes)]


@pytest.mark.parametrize(("one", "other"), [("sqlite", "postgres"), ("postgres", "sqlite")])
def test_the_same_champion_and_nothing_is_bought_again(machine: Any, tmp_path: Path, one: str, other: str) -> None:
    old, new = machine("old", one), machine("new", other)
    lived_in(old)
    before = in_tables(old), read_level(old.home, STEM), trained_on(old.home.datasets(STEM)), history(old.client, model_name(STEM))
    made = back_up(old.home, old.client, tmp_path / "backup")
    assert made.champions == {STEM: 2}
    texts = b"".join(path.read_bytes() for path in (tmp_path / "backup").rglob("*") if path.is_file())
    assert KEY.encode() not in texts
    new.use()
    restore(tmp_path / "backup", new.home, new.client)
    after = in_tables(new), read_level(new.home, STEM), trained_on(new.home.datasets(STEM)), history(new.client, model_name(STEM))
    assert after == before
    found = fetch_champion(new.client, new.home, STEM)
    assert found
    assert found.version == "2"
    assert adapter_digest(found.adapter) == adapter_digest(old.home.champions(STEM) / "champion-v2")
    assert night(new) == 0, "nothing is bought again"
    assert read_level(new.home, STEM) == before[1]
    assert roll_back(new.client, new.home, STEM, who="me", why="and back") == "3"
    assert (new.folder / "heldout.txt").read_text() == "q1\nq2\nq3\nq4\n"
    engine = open_database(new.home.database_url)
    with Session(engine) as session, session.begin():
        assert new_crawl(session, STEM, "x", FULL).number > max(session.scalars(select(Crawl.number)).all()[:-1])
    engine.dispose()


@pytest.fixture
def backup(machine: Any, tmp_path: Path) -> Iterator[tuple[Machine, Path, Backup]]:
    old = machine("old", "sqlite")
    lived_in(old)
    yield old, tmp_path / "backup", back_up(old.home, old.client, tmp_path / "backup")


def test_while_answers_are_bought_a_backup_is_of_one_moment(backup: tuple[Machine, Path, Backup], tmp_path: Path) -> None:
    """Each answer row is written with its send, so that a backup in between would tear them apart."""
    machine, _, _ = backup
    stop = threading.Event()

    def write() -> None:
        engine = open_database(machine.home.database_url)
        for number in count():
            with engine.begin() as connection:
                for table in ("answer_revisions", "crawls"):
                    connection.execute(text(f"DELETE FROM {table} WHERE number > 1000"))
                connection.execute(text("UPDATE teacher_sends SET writer = :name"), {"name": f"w{number}"})
                connection.execute(text("UPDATE votes SET writer = :name"), {"name": f"w{number}"})
            if stop.is_set():
                break
        engine.dispose()

    writing = threading.Thread(target=write)
    writing.start()
    try:
        for number in range(5):
            back_up(machine.home, machine.client, tmp_path / f"beside-{number}")
    finally:
        stop.set()
        writing.join()
    for number in range(5):
        tables = [tmp_path / f"beside-{number}" / "tables" / f"{name}.jsonl" for name in ("teacher_sends", "votes")]
        assert len({json.loads(line)["writer"] for path in tables for line in path.read_text().splitlines()}) == 1


def test_a_restore_that_was_killed_is_finished_by_the_next(
    backup: tuple[Machine, Path, Backup], machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, folder, _ = backup
    new = machine("new", "sqlite")
    new.use()
    for step in ("_copy_files", "load", "restore_model"):
        process = get_context("fork").Process(target=_restore_and_die, args=(folder, new, step))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
    restore(folder, new.home, new.client)
    assert in_tables(new) == in_tables(old)
    found = fetch_champion(new.client, new.home, STEM)
    assert found
    assert found.version == "2"
    with pytest.raises(BackupError, match=r"restored where nothing is yet, and there is .*rows in the database, tester's model in MLflow"):
        restore(folder, new.home, new.client)


def _restore_and_die(folder: Path, machine: Machine, step: str) -> None:
    real = getattr(restoring, step)

    def deadly(*arguments: Any) -> None:
        real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(restoring, step, deadly)
    restore(folder, machine.home, machine.client)


@pytest.mark.parametrize("damage", ["cut", "gone", "no list", "not empty"])
def test_what_is_not_whole_or_in_the_way_is_refused_before_anything_is_written(
    backup: tuple[Machine, Path, Backup], machine: Any, damage: str
) -> None:
    _, folder, made = backup
    new = machine("new", "sqlite")
    new.use()
    victim = folder / next(name for name in made.files if name.endswith("safetensors"))
    if damage == "cut":
        victim.write_bytes(victim.read_bytes()[:-1])
    elif damage == "gone":
        victim.unlink()
    elif damage == "no list":
        (folder / "backup.json").unlink()
    else:
        (new.folder / "writers").mkdir()
        (new.folder / "writers" / f"{STEM}.toml").write_text("name = 'another'")
    words = {"no list": "holds no whole backup", "not empty": "another .*tester.toml"}.get(damage, "missing or was changed")
    with pytest.raises(BackupError, match=words):
        restore(folder, new.home, new.client)
    assert not list(new.home.path.glob("answers*"))


def test_a_backup_goes_into_a_folder_of_its_own(backup: tuple[Machine, Path, Backup]) -> None:
    machine, folder, _ = backup
    with pytest.raises(BackupError, match="is not empty"):
        back_up(machine.home, machine.client, folder)
