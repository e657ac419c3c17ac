"""What was purged on the owner's word: an audit line without any text, and the list of answers no collection reads again."""

import secrets
from datetime import UTC, datetime

from sqlalchemy import DateTime, String, Text, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from ghostwriter.database import Base


class PurgeRow(Base):
    """One purge, written before anything is removed; `finished` is set when nothing is left to remove."""

    __tablename__ = "purges"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    writer: Mapped[str] = mapped_column(String(64), index=True)
    answer: Mapped[str | None] = mapped_column(String(512))
    """None: the whole writer."""
    who: Mapped[str] = mapped_column(Text)
    asked: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    finished: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    found: Mapped[str] = mapped_column(Text)
    """JSON: names and digests of what held it, so that a run after a kill knows of what is gone already; then counts."""


def open_purge(session: Session, writer: str, answer: str | None, who: str) -> PurgeRow:
    """The purge to go on with: the unfinished one of the same, else a new one."""
    same = select(PurgeRow).where(PurgeRow.writer == writer, PurgeRow.answer.is_not_distinct_from(answer))
    row = session.scalars(same.where(PurgeRow.finished.is_(None))).first()
    if row is None:
        moment = datetime.now(UTC)
        row = PurgeRow(id=secrets.token_hex(16), writer=writer, answer=answer, who=who, asked=moment, finished=None, found="{}")
        session.add(row)
    return row


def purged_ids(session: Session, writer: str) -> set[str]:
    """The writer's answers that are never to be kept again."""
    rows = select(PurgeRow.answer).where(PurgeRow.writer == writer, PurgeRow.answer.is_not(None))
    return {answer for answer in session.scalars(rows) if answer is not None}
