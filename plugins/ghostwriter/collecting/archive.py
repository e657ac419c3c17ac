"""The archive: every answer ever seen of a writer, with its revisions, and how far each crawl has come.

A page of a list is one transaction: raw items, parsed records and the crawl's position are committed together, so that a
kill at any instruction loses at most the page in flight.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, Index, Integer, String, Text, func, select, update
from sqlalchemy.orm import Mapped, Session, mapped_column

from ghostwriter.collecting.purged import purged_ids
from ghostwriter.collecting.sources.record import Record
from ghostwriter.database import Base

FULL, INCREMENTAL = "full", "incremental"
RUNNING, FINISHED, ABANDONED = "running", "finished", "abandoned"
UNORDERED = 2**62


class Answer(Base):
    """One answer as it was last seen. Times `created` and `updated` are unix seconds."""

    __tablename__ = "answers"

    writer: Mapped[str] = mapped_column(String(64), primary_key=True)
    id: Mapped[str] = mapped_column(String(512), primary_key=True)
    question_id: Mapped[str] = mapped_column(Text)
    question: Mapped[str | None] = mapped_column(Text)
    url: Mapped[str] = mapped_column(Text)
    author_id: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    body_kind: Mapped[str] = mapped_column(String(16))
    excerpt: Mapped[str] = mapped_column(Text)
    created: Mapped[int] = mapped_column(BigInteger)
    updated: Mapped[int] = mapped_column(BigInteger)
    votes: Mapped[int | None] = mapped_column(Integer)
    reuse: Mapped[str | None] = mapped_column(Text)
    flags: Mapped[str] = mapped_column(Text)
    """JSON list."""
    raw: Mapped[str] = mapped_column(Text)
    """JSON in ASCII, so that half surrogates and NULs survive in any database."""
    content_hash: Mapped[str] = mapped_column(String(64))
    first_seen: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    gone_since: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    crawl: Mapped[int] = mapped_column(Integer)
    """The last crawl that saw it."""


class Revision(Base):
    """An answer as it was before an edit."""

    __tablename__ = "answer_revisions"
    __table_args__ = (
        ForeignKeyConstraint(["writer", "answer"], ["answers.writer", "answers.id"], ondelete="CASCADE"),
        Index("answer_revisions_of", "writer", "answer"),
    )

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    writer: Mapped[str] = mapped_column(String(64))
    answer: Mapped[str] = mapped_column(String(512))
    updated: Mapped[int] = mapped_column(BigInteger)
    content_hash: Mapped[str] = mapped_column(String(64))
    question: Mapped[str | None] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    raw: Mapped[str] = mapped_column(Text)
    replaced: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class Crawl(Base):
    """One reading of a list, possibly over several processes; `offset` is the next page to ask for."""

    __tablename__ = "crawls"

    number: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    writer: Mapped[str] = mapped_column(String(64), index=True)
    account: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(String(16))
    state: Mapped[str] = mapped_column(String(16))
    offset: Mapped[int] = mapped_column(Integer, default=0)
    total: Mapped[int | None] = mapped_column(Integer)
    """The site's own count on the last page read."""
    quiet_pages: Mapped[int] = mapped_column(Integer, default=0)
    """Consecutive pages on which all was known and unchanged."""
    rereads: Mapped[str] = mapped_column(Text, default="[]")
    """JSON list of offsets to read again because answers were deleted meanwhile."""
    head_moved: Mapped[bool] = mapped_column(default=False)
    """Whether answers were added meanwhile, so that the head of the list has to be read again."""
    ended: Mapped[bool] = mapped_column(default=False)
    """Whether the end was reached, so that only pages to read again are left."""
    floor: Mapped[int | None] = mapped_column(BigInteger)
    """Creation time of the oldest answer read so far; UNORDERED when a page was not sorted by it."""
    started: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class AntiBotStop(Base):
    """When the site last refused a writer's crawl as a robot's."""

    __tablename__ = "anti_bot_stops"

    writer: Mapped[str] = mapped_column(String(64), primary_key=True)
    error: Mapped[str] = mapped_column(String(64))
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True)
class Change:
    """What saving a page changed: ids that are new, ids with a new revision, and how many this crawl had not seen before."""

    new: tuple[str, ...]
    changed: tuple[str, ...]
    unseen: int

    @property
    def count(self) -> int:
        """Answers new or changed."""
        return len(self.new) + len(self.changed)


def save_records(session: Session, crawl: Crawl, records: Iterable[Record]) -> Change:
    """Put records into the archive within the session's transaction; a record that stands there twice counts once.

    One that was purged is seen, and not kept.
    """
    wanted = {record.id: record for record in records}
    purged = purged_ids(session, crawl.writer) & wanted.keys()
    for name in purged:
        del wanted[name]
    query = select(Answer).where(Answer.writer == crawl.writer, Answer.id.in_(wanted))
    known = {answer.id: answer for answer in session.scalars(query)}
    new, changed = [], []
    unseen = sum(answer.crawl != crawl.number for answer in known.values())
    for record in wanted.values():
        answer = known.get(record.id)
        if answer is None:
            session.add(Answer(writer=crawl.writer, id=record.id, first_seen=_now(), crawl=crawl.number, **_columns(record)))
            new.append(record.id)
            continue
        if (answer.updated, answer.content_hash) != (record.updated, record.content_hash):
            session.add(_revision(answer))
            changed.append(record.id)
        _refresh(answer, record, crawl.number, rewrite=record.id in changed)
    return Change(tuple(new), tuple(changed), unseen + len(new) + len(purged))


def counts(session: Session, writer: str) -> tuple[int, int]:
    """How many answers the archive holds of a writer, and how many of them are gone from the site."""
    known, gone = session.execute(select(func.count(), func.count(Answer.gone_since)).where(Answer.writer == writer)).one()
    return int(known), int(gone)


def live_answers(session: Session, writer: str) -> int:
    """How many answers of a writer the archive holds that are not known to be gone."""
    known, gone = counts(session, writer)
    return known - gone


def seen_by(session: Session, crawl: Crawl) -> int:
    """How many answers of the archive this crawl has seen."""
    query = select(func.count()).where(Answer.writer == crawl.writer, Answer.crawl == crawl.number)
    return session.scalar(query) or 0


def mark_gone(session: Session, crawl: Crawl, created_after: int | None = None) -> int:
    """Mark the answers that this crawl did not see, all or those created after a time; returns how many were marked."""
    query = update(Answer).where(Answer.writer == crawl.writer, Answer.crawl != crawl.number, Answer.gone_since.is_(None))
    if created_after is not None:
        query = query.where(Answer.created > created_after)
    result: Any = session.execute(query.values(gone_since=_now()))
    return int(result.rowcount)


def all_answers(session: Session, writer: str) -> Iterator[Answer]:
    """Every archived answer of a writer, newest first, a few hundred in memory at a time."""
    query = select(Answer).where(Answer.writer == writer).order_by(Answer.created.desc(), Answer.id.desc())
    for answer in session.scalars(query.execution_options(yield_per=200)):
        yield answer
        session.expunge(answer)


def questions_of(session: Session, writer: str) -> dict[str, str]:
    """Titles of the questions that a writer's answers on the site are to, by id; empty where the site does not say."""
    query = select(Answer.question_id, Answer.question).where(Answer.writer == writer, Answer.gone_since.is_(None))
    return {name: title or "" for name, title in session.execute(query)}


def open_crawl(session: Session, writer: str, account: str, full: bool) -> Crawl:
    """The crawl to go on with: the unfinished one, else a new one, which reads everything if nothing ever did or `full`."""
    mine = select(Crawl).where(Crawl.writer == writer, Crawl.account == account).order_by(Crawl.number.desc())
    last = session.scalars(mine.limit(1)).first()
    if last is not None and last.state == RUNNING and (last.mode == FULL or not full):
        return last
    full = full or (last is not None and last.state == ABANDONED)
    read_before = session.scalars(mine.where(Crawl.mode == FULL, Crawl.state == FINISHED).limit(1)).first()
    return new_crawl(session, writer, account, FULL if full or read_before is None else INCREMENTAL)


def new_crawl(session: Session, writer: str, account: str, mode: str) -> Crawl:
    """A crawl that has read nothing yet."""
    crawl = Crawl(
        writer=writer,
        account=account,
        mode=mode,
        state=RUNNING,
        offset=0,
        quiet_pages=0,
        rereads="[]",
        head_moved=False,
        ended=False,
        started=_now(),
    )
    session.add(crawl)
    session.flush()
    return crawl


def remember_stop(session: Session, writer: str, error: str) -> None:
    """Note that the site refused this writer's crawl as a robot's, now."""
    session.merge(AntiBotStop(writer=writer, error=error, at=_now()))


def recent_stop(session: Session, writer: str, within: timedelta) -> tuple[str, timedelta] | None:
    """The last anti-bot stop and its age, if it is younger than `within`."""
    stop = session.get(AntiBotStop, writer)
    if stop is None:
        return None
    at = stop.at if stop.at.tzinfo else stop.at.replace(tzinfo=UTC)
    age = _now() - at
    return (stop.error, age) if age < within else None


def _columns(record: Record) -> dict[str, Any]:
    return {
        **record.model_dump(exclude={"id", "flags", "raw"}),
        "flags": json.dumps(record.flags),
        "raw": _raw_json(record),
        "content_hash": record.content_hash,
    }


def _raw_json(record: Record) -> str:
    try:
        return json.dumps(record.raw)
    except RecursionError:
        return json.dumps({"id": record.id, "note": "nested too deeply to be kept"})


def _refresh(answer: Answer, record: Record, crawl: int, *, rewrite: bool) -> None:
    """Bring a known answer up to date; counters that change every hour alone are no reason to write the whole item again."""
    answer.crawl = crawl
    answer.gone_since = None
    rewrite = rewrite or (answer.flags, answer.question, answer.reuse) != (json.dumps(record.flags), record.question, record.reuse)
    if rewrite:
        for name, value in _columns(record).items():
            setattr(answer, name, value)


def _revision(answer: Answer) -> Revision:
    return Revision(
        writer=answer.writer,
        answer=answer.id,
        updated=answer.updated,
        content_hash=answer.content_hash,
        question=answer.question,
        body=answer.body,
        raw=answer.raw,
        replaced=_now(),
    )


def _now() -> datetime:
    return datetime.now(UTC)
