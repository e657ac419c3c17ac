"""Databases of earlier versions go on, and a new one is made once."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import text

from ghostwriter.database import Base, open_database
from ghostwriter.home import Home
from ghostwriter.teacher.ledger import Ledger

LONG = "https://example.org/" + "q" * 500


def test_a_database_whose_columns_were_shorter_takes_long_ids_and_keeps_its_rows(either_database: Home) -> None:
    engine = open_database(either_database.database_url)
    Ledger(engine, "tester").keep_examples("r", {("q1", 0): ("a",)})
    if engine.dialect.name == "postgresql":  # as the first version made them; SQLite has no limits
        with engine.begin() as connection:
            for table, column in (("teacher_examples", "question_id"), ("teacher_answers", "question_id"), ("teacher_answers", "model")):
                connection.execute(text(f"ALTER TABLE {table} ALTER COLUMN {column} TYPE VARCHAR(64)"))
    engine.dispose()
    engine = open_database(either_database.database_url)
    Ledger(engine, "tester").keep_examples("r", {(LONG, 0): ("b",)})
    assert Ledger(engine, "tester").examples("r") == {("q1", 0): ("a",), (LONG, 0): ("b",)}
    engine.dispose()


def make_tables(url: str) -> None:
    open_database(url).dispose()


def test_processes_that_meet_an_empty_database_all_find_their_tables(either_database: Home) -> None:
    url = either_database.database_url
    with ProcessPoolExecutor(4, get_context("fork")) as processes:
        for _ in range(10):
            engine = open_database(url)
            Base.metadata.drop_all(engine)
            engine.dispose()
            list(processes.map(make_tables, [url] * 4))


def test_a_power_cut_loses_no_commit(tmp_path: Path) -> None:
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    with engine.connect() as connection:
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 2  # FULL: the log is synced at each commit
        assert connection.execute(text("PRAGMA journal_mode")).scalar() == "wal"
    engine.dispose()
