"""What archive and ledger hold of a writer: two figures for the page."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Float, case, cast, func, select
from sqlalchemy.orm import Session

from ghostwriter.collecting.archive import counts
from ghostwriter.database import open_database
from ghostwriter.teacher.ledger import SendRow
from ghostwriter.writer import Writer
from ghostwriter.writer_settings import MODES


@dataclass(frozen=True)
class State:
    """Answers in the archive, those of them gone from the site, and money in the vendor's currency since the month began.

    `night` is the money since the last night began; None when there was none.
    """

    archived: int
    gone: int
    spent: float
    night: float | None = None


def read_state(url: str, writer: Writer, night: datetime | None = None) -> State:
    """The figures of a writer, whose last night began at `night`. Raises sqlalchemy's DBAPIError when the database cannot be read."""
    with Session(shared_engine(url)) as session:
        archived, gone = counts(session, writer.stem)
        month = _spent_since(session, writer, month_start(datetime.now(UTC), writer.schedule.timezone))
        return State(archived, gone, month, None if night is None else _spent_since(session, writer, night))


def month_start(now: datetime, timezone: str) -> datetime:
    """When the current month began where the writer's clock is, in UTC."""
    return now.astimezone(ZoneInfo(timezone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def _spent_since(session: Session, writer: Writer, start: datetime) -> float:
    """What was paid, to the student and the judge too, and at worst what was perhaps paid. A float: for a person, not for a cap."""
    price = case((SendRow.state == "paid", cast(SendRow.cost, Float)), (SendRow.state == "free", 0.0), else_=cast(SendRow.worst, Float))
    of_writer = SendRow.writer.in_({*map(writer.ledger, MODES), writer.judge_ledger})
    return float(session.scalar(select(func.sum(price)).where(of_writer, SendRow.sent >= start)) or 0.0)


@cache
def shared_engine(url: str) -> Engine:
    """The project's database, opened once a process."""
    return open_database(url)
