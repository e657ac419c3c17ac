"""A backup made beside running work, restored onto an empty machine: the same champion, and nothing is bought again."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from ghostwriter.collecting.archive import FULL, Crawl, new_crawl
from ghostwriter.database import open_database
from ghostwriter.distilling.trained_on import trained_on
from ghostwriter.judging.moves import history
from ghostwriter.judging.promote import adapter_digest, fetch_champion, model_name, roll_back
from ghostwriter.keeping import restore as restoring
from ghostwriter.keeping.backup import Backup, BackupError, back_up
from ghostwriter.keeping.restore import restore
from ghostwriter.tasks.chain import read_level
from ghostwriter.teacher.ledger import SendRow
from tests.ghostwriter.keeping.machine_case import Machine, lived_in, make_machine, night
from tests.ghostwriter.keeping.nights_case import STEM
from tests.teacher_server import KEY

__all__ = ["make_machine"]  # a fixture


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
