"""Votes and kept chats in the project's database: a vote is on the disk before anybody is told so."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, DateTime, Engine, String, Text, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, Session, mapped_column

from ghostwriter.database import Base, erasing
from ghostwriter.errors import GhostwriterError
from ghostwriter.votes.comparison import Choice, Comparison, Message, Sampling, Side, new_id


class VotedAlready(GhostwriterError):
    """There is a vote on these two answers."""

    code = "voted_already"


class VoteRow(Base):
    """One vote, with everything it is about."""

    __tablename__ = "votes"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The comparison's."""
    writer: Mapped[str] = mapped_column(String(64), index=True)
    who: Mapped[str] = mapped_column(Text)
    voted: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    messages: Mapped[str] = mapped_column(Text)
    """JSON: what was answered, the question last."""
    asked_a: Mapped[str] = mapped_column(Text)
    asked_b: Mapped[str] = mapped_column(Text)
    version_a: Mapped[str] = mapped_column(Text)
    version_b: Mapped[str] = mapped_column(Text)
    digest_a: Mapped[str] = mapped_column(Text)
    digest_b: Mapped[str] = mapped_column(Text)
    text_a: Mapped[str] = mapped_column(Text)
    text_b: Mapped[str] = mapped_column(Text)
    sampling: Mapped[str] = mapped_column(Text)
    """JSON: temperature, min_p, max_tokens."""
    seed: Mapped[int] = mapped_column(BigInteger)
    choice: Mapped[str] = mapped_column(String(8))
    trace_a: Mapped[str | None] = mapped_column(Text)
    trace_b: Mapped[str | None] = mapped_column(Text)
    """The traces in MLflow that show each answer with its feedback; none until they are there."""


class ChatRow(Base):
    """One answer of a chat that the writer file says to keep (`[chat] keep = true`)."""

    __tablename__ = "chats"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    writer: Mapped[str] = mapped_column(String(64), index=True)
    who: Mapped[str] = mapped_column(Text)
    answered: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    messages: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    text: Mapped[str] = mapped_column(Text)
    sampling: Mapped[str] = mapped_column(Text)
    seed: Mapped[int] = mapped_column(BigInteger)


def record_vote(engine: Engine, comparison: Comparison, choice: Choice) -> None:
    """Keep a vote; it is committed when this returns. Raises VotedAlready when there is one."""
    sides = {
        f"{field}_{letter}": getattr(side, field)
        for letter, side in (("a", comparison.a), ("b", comparison.b))
        for field in ("asked", "version", "digest", "text")
    }
    row = VoteRow(
        id=comparison.id,
        writer=comparison.writer,
        who=comparison.who,
        voted=datetime.now(UTC),
        choice=choice,
        **_asked(comparison.messages, comparison.sampling),
        **sides,
    )
    try:
        with Session(engine) as session, session.begin():
            session.add(row)
    except IntegrityError as error:
        if find_vote(engine, comparison.id) is None:
            raise
        raise VotedAlready("There is a vote on these two answers already. It stays as it is; ask again to vote again.") from error


def keep_chat(engine: Engine, writer: str, who: str, messages: Sequence[Message], side: Side, sampling: Sampling) -> None:
    """Keep one answer of a chat, with what it answers."""
    row = ChatRow(
        id=new_id(),
        writer=writer,
        who=who,
        answered=datetime.now(UTC),
        version=side.version,
        digest=side.digest,
        text=side.text,
        **_asked(messages, sampling),
    )
    with Session(engine) as session, session.begin():
        session.add(row)


def find_vote(engine: Engine, name: str) -> VoteRow | None:
    """The vote on a comparison; None when there is none."""
    with Session(engine, expire_on_commit=False) as session:
        return session.get(VoteRow, name)


def all_votes(engine: Engine, writer: str) -> list[VoteRow]:
    """A writer's votes, the oldest first."""
    chosen = select(VoteRow).where(VoteRow.writer == writer).order_by(VoteRow.voted, VoteRow.id)
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(chosen))


def untraced_votes(engine: Engine, writer: str) -> list[VoteRow]:
    """A writer's votes that MLflow does not show yet, the oldest first."""
    missing = (VoteRow.writer == writer, VoteRow.trace_a.is_(None))
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(select(VoteRow).where(*missing).order_by(VoteRow.voted, VoteRow.id)))


def traced(engine: Engine, name: str, trace_a: str, trace_b: str) -> None:
    """Note where MLflow shows the two answers of a vote."""
    with engine.begin() as connection:
        connection.execute(update(VoteRow).where(VoteRow.id == name).values(trace_a=trace_a, trace_b=trace_b))


def all_chats(engine: Engine, writer: str) -> list[ChatRow]:
    """A writer's kept chats, the oldest first."""
    chosen = select(ChatRow).where(ChatRow.writer == writer).order_by(ChatRow.answered, ChatRow.id)
    with Session(engine, expire_on_commit=False) as session:
        return list(session.scalars(chosen))


def forget_old(engine: Engine, writer: str, keep_days: int) -> int:
    """Remove votes and chats older than that, overwritten on the disk; returns how many."""
    before = datetime.now(UTC) - timedelta(days=keep_days)
    old_votes = (VoteRow.writer == writer, VoteRow.voted < before)
    old_chats = (ChatRow.writer == writer, ChatRow.answered < before)
    with Session(engine) as session:
        votes, chats = (session.scalar(select(row.id).where(*old).limit(1)) for row, old in ((VoteRow, old_votes), (ChatRow, old_chats)))
    if votes is None and chats is None:
        return 0
    with erasing(engine) as connection:
        removed = [connection.execute(delete(row).where(*old)) for row, old in ((VoteRow, old_votes), (ChatRow, old_chats))]
    return sum(result.rowcount for result in removed)


def messages_of(row: VoteRow | ChatRow) -> list[dict[str, str]]:
    """What a vote's or chat's answers answer."""
    messages: list[dict[str, str]] = json.loads(row.messages)
    return messages


def _asked(messages: Sequence[Message], sampling: Sampling) -> dict[str, Any]:
    """The columns votes and chats share."""
    how = sampling.model_dump(exclude={"seed"})
    asked = [message.model_dump() for message in messages]
    return {"messages": json.dumps(asked, ensure_ascii=False), "sampling": json.dumps(how), "seed": sampling.seed}
