"""What archive and ledger hold of a writer: two figures for the page."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from ghostwriter.collecting.archive import counts
from ghostwriter.database import open_database
from ghostwriter.teacher.month import month_start, spent_since
from ghostwriter.writer import Writer


@dataclass(frozen=True)
class State:
    """Answers in the archive, those of them gone from the site, and money in the vendor's currency since the month began.

    `night` is the money since the last night began; None when there was none.
    """

    archived: int
    gone: int
    spent: Decimal
    night: Decimal | None = None


def read_state(url: str, writer: Writer, night: datetime | None = None) -> State:
    """The figures of a writer, whose last night began at `night`. Raises sqlalchemy's DBAPIError when the database cannot be read."""
    engine = shared_engine(url)
    with Session(engine) as session:
        archived, gone = counts(session, writer.stem)
    month = spent_since(engine, writer, month_start(datetime.now(UTC), writer.schedule.timezone))
    return State(archived, gone, month, None if night is None else spent_since(engine, writer, night))


@cache
def shared_engine(url: str) -> Engine:
    """The project's database, opened once a process."""
    return open_database(url)
