"""Archive, ledger and votes as files of JSON lines, a table each: read in one transaction while others write, and written into an empty
database of either kind. So a backup of an SQLite file can be restored into Postgres, and the other way round."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, DateTime, Engine, Table, func, insert, select, text

import ghostwriter.collecting.purged  # each declares tables
import ghostwriter.tasks.trusted_hosts
import ghostwriter.teacher.batch_ledger
import ghostwriter.votes.records  # noqa: F401
from ghostwriter.database import Base
from ghostwriter.teacher.ledger import Money

AT_ONCE = 500


def tables() -> list[Table]:
    """All tables, those that others refer to first."""
    return list(Base.metadata.sorted_tables)


def dump(engine: Engine, folder: Path) -> dict[str, int]:
    """Write every table as it stands at one moment; returns how many rows each has."""
    with engine.connect() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        else:
            connection.exec_driver_sql("BEGIN")  # sqlite3 begins none for reading: each SELECT would see a state of its own
        return {table.name: _dump(connection, table, folder / f"{table.name}.jsonl") for table in tables()}


def is_empty(engine: Engine) -> bool:
    """Whether no table has a row."""
    with engine.connect() as connection:
        return not any(connection.execute(select(table).limit(1)).first() for table in tables())


def load(engine: Engine, folder: Path) -> None:
    """Fill an empty database, in one transaction. A table the backup does not have stays empty."""
    with engine.begin() as connection:
        for table in tables():
            path = folder / f"{table.name}.jsonl"
            rows = _rows(table, path) if path.exists() else iter(())
            while some := list(islice(rows, AT_ONCE)):
                connection.execute(insert(table), some)
            if engine.dialect.name == "postgresql":
                _go_on_counting(connection, table)


def _dump(connection: Connection, table: Table, path: Path) -> int:
    number = 0
    with path.open("w", encoding="utf-8") as file:
        for row in connection.execution_options(yield_per=AT_ONCE).execute(select(table)).mappings():
            file.write(json.dumps({name: _plain(value) for name, value in row.items()}, ensure_ascii=True) + "\n")
            number += 1
    return number


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC).isoformat()
    return str(value) if isinstance(value, Decimal) else value


def _rows(table: Table, path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            yield {column.name: _typed(column.type, row[column.name]) for column in table.columns if column.name in row}


def _typed(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(kind, DateTime):
        return datetime.fromisoformat(value)
    return Decimal(value) if isinstance(kind, Money) else value


def _go_on_counting(connection: Connection, table: Table) -> None:
    """Rows that are numbered by Postgres are numbered on after those that came with their numbers."""
    for column in table.primary_key:
        if column is table.autoincrement_column:
            last = select(func.max(column)).scalar_subquery()
            sequence = func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(select(func.setval(sequence, func.coalesce(last, 1), last.is_not(None))))
