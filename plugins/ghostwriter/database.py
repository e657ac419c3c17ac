"""The database under archive and ledger: SQLite by default, Postgres when GHOSTWRITER_DATABASE_URL says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Text, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import DeclarativeBase

BUSY_TIMEOUT_SECONDS = 30
MAKING_TABLES = 4_740_117
"""Number of the advisory lock on Postgres; any that nothing else uses."""


class Base(DeclarativeBase):
    """Base of all tables; each module that keeps state declares its own."""


def open_database(url: str) -> Engine:
    """An engine for `url` whose tables exist. SQLite runs in WAL mode and syncs each commit: neither a kill nor a power cut loses one."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_SECONDS})
        event.listen(engine, "connect", _durable_sqlite)
    else:
        engine = create_engine(parsed, pool_pre_ping=True)
    _make_missing(engine)
    if engine.dialect.name == "postgresql":
        _widen(engine)
    return engine


@contextmanager
def erasing(engine: Engine) -> Iterator[Connection]:
    """A transaction whose deleted rows are overwritten in an SQLite file, and in its log; Postgres does so when it vacuums."""
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as connection:
        if sqlite:
            connection.execute(text("PRAGMA secure_delete = ON"))
            connection.commit()
        with connection.begin():
            yield connection
        if sqlite:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))


def _make_missing(engine: Engine) -> None:
    """Make the tables that are missing, one process at a time: two writers may be collected for the first time in the same second."""
    if Base.metadata.tables.keys() <= set(inspect(engine).get_table_names()):
        return
    alone = f"SELECT pg_advisory_xact_lock({MAKING_TABLES})" if engine.dialect.name == "postgresql" else "BEGIN IMMEDIATE"
    with engine.begin() as connection:
        connection.exec_driver_sql(alone)
        Base.metadata.create_all(connection)


def _widen(engine: Engine) -> None:
    """Turn columns that an earlier version made shorter into text; SQLite never limited any. Postgres rewrites no row for it."""
    limited = text(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND data_type = 'character varying'"
    )
    with engine.begin() as connection:
        short = {(row.table_name, row.column_name) for row in connection.execute(limited)}
        for table in Base.metadata.tables.values():
            for column in table.columns:
                if isinstance(column.type, Text) and (table.name, column.name) in short:
                    connection.execute(text(f'ALTER TABLE "{table.name}" ALTER COLUMN "{column.name}" TYPE TEXT'))


def _durable_sqlite(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
