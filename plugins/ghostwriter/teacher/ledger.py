"""The ledger: every send to the teacher, written before it leaves, and every answer, kept for good.

sends     one row a send: in_flight -> paid (with its cost), free (refused, never worked on), or
          perhaps_paid (nobody knows: a kill, a timeout, a lost connection), counted at its worst price
answers   one row a request that was answered, by the hash of model, parameters, messages and sample number
examples  which of the writer's pairs were chosen for a question and a sample: chosen once, so that a grown corpus moves nothing
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

from sqlalchemy import Connection, DateTime, Dialect, Engine, Integer, String, Text, TypeDecorator, bindparam, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Mapped, mapped_column

from ghostwriter.database import Base
from ghostwriter.teacher.budget import Message, Usage

log = logging.getLogger(__name__)

SendState = Literal["in_flight", "paid", "free", "perhaps_paid"]
HISTORY = 1_000
CHUNK = 500
"""Keys in one IN clause: below every database's limit of parameters."""


class Money(TypeDecorator[Decimal]):
    """Decimals as text, so that no database rounds them."""

    impl = String(40)
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> str | None:
        """To text."""
        return None if value is None else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """From text."""
        return None if value is None else Decimal(value)


class SendRow(Base):
    """One send."""

    __tablename__ = "teacher_sends"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    writer: Mapped[str] = mapped_column(String(64))
    run: Mapped[str] = mapped_column(String(64), index=True)
    """Digest of the run that sent it: its cap counts these rows."""
    state: Mapped[str] = mapped_column(String(16))
    sent: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    worst: Mapped[Decimal] = mapped_column(Money)
    cost: Mapped[Decimal | None] = mapped_column(Money)
    fault: Mapped[str | None] = mapped_column(String(32))
    batch: Mapped[str | None] = mapped_column(String(32), index=True)
    """The batch it went with (`ghostwriter.batch`); none when it was sent alone."""


class AnswerRow(Base):
    """One answer of the teacher, as it came."""

    __tablename__ = "teacher_answers"

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    writer: Mapped[str] = mapped_column(String(64), index=True)
    question_id: Mapped[str] = mapped_column(Text, index=True)
    sample: Mapped[int] = mapped_column(Integer)
    model: Mapped[str] = mapped_column(Text)
    prompt: Mapped[str] = mapped_column(String(16))
    """Hash of the prompt file."""
    settings: Mapped[str] = mapped_column(String(16))
    """Hash of the parameters sent beside the messages."""
    examples: Mapped[str] = mapped_column(Text)
    """Ids of the writer's pairs shown, a JSON array."""
    text: Mapped[str] = mapped_column(Text)
    finish_reason: Mapped[str] = mapped_column(String(32))
    prompt_tokens: Mapped[int | None] = mapped_column(Integer)
    cached_tokens: Mapped[int | None] = mapped_column(Integer)
    completion_tokens: Mapped[int | None] = mapped_column(Integer)
    cost: Mapped[Decimal] = mapped_column(Money)
    answered: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class ExamplesRow(Base):
    """The examples chosen for one question and sample."""

    __tablename__ = "teacher_examples"

    writer: Mapped[str] = mapped_column(String(64), primary_key=True)
    rotation: Mapped[str] = mapped_column(String(32), primary_key=True)
    """Seed and number of examples."""
    question_id: Mapped[str] = mapped_column(Text, primary_key=True)
    sample: Mapped[int] = mapped_column(Integer, primary_key=True)
    examples: Mapped[str] = mapped_column(Text)


_END_OF_SENDS = (
    update(SendRow).where(SendRow.id == bindparam("send")).values(state=bindparam("to"), cost=bindparam("paid"), fault=bindparam("why"))
)
_NEW_SENDS, _NEW_ANSWERS = (
    {name: dialect.insert(table).on_conflict_do_nothing() for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))}
    for table in (SendRow, AnswerRow)
)


@dataclass(frozen=True)
class Answer:
    """An answer of the ledger."""

    key: str
    text: str
    finish_reason: str
    usage: Usage | None
    cost: Decimal


@dataclass(frozen=True)
class Spending:
    """What a run has spent: `paid` for answers, `perhaps_paid` at worst for sends whose end nobody knows."""

    paid: Decimal = Decimal(0)
    perhaps_paid: Decimal = Decimal(0)
    perhaps_paid_sends: int = 0

    @property
    def total(self) -> Decimal:
        """Both together: what the cap is checked against."""
        return self.paid + self.perhaps_paid


def request_key(parameters: Mapping[str, Any], messages: Sequence[Message], sample: int) -> str:
    """The name of a request: SHA-256 (hex) of model and parameters, messages, and the sample's number."""
    return sha256(
        json.dumps([dict(parameters), messages, sample], sort_keys=True, ensure_ascii=False).encode("utf-8", errors="replace")
    ).hexdigest()


def answer_row(facts: Mapping[str, Any], answer: Answer) -> dict[str, Any]:
    """The answer as a row of the ledger, with the facts of its call."""
    usage = answer.usage
    return {
        **facts,
        "text": answer.text,
        "finish_reason": answer.finish_reason[:32],
        "prompt_tokens": usage.prompt if usage else None,
        "cached_tokens": usage.cached if usage else None,
        "completion_tokens": usage.completion if usage else None,
        "cost": answer.cost,
    }


class Ledger:
    """Reads and writes of one writer's calls; every method is one transaction."""

    def __init__(self, engine: Engine, writer: str) -> None:
        self.engine = engine
        self.writer = writer

    def record(self, sends: Sequence[dict[str, Any]], settled: Sequence[dict[str, Any]], answers: Sequence[dict[str, Any]]) -> None:
        """Write new sends, the end of others, and answers, all or nothing. `settled` rows have `send`, `to`, `paid`, `why`.

        An answer that is there already stays: two writer files of one author may ask the same at once. So does a send: writing the
        same again after a commit whose end nobody heard changes nothing.
        """
        with self.engine.begin() as connection:
            if sends:
                connection.execute(_NEW_SENDS[connection.dialect.name], sends)
            if settled:
                connection.execute(_END_OF_SENDS, settled)
            if answers:
                connection.execute(_NEW_ANSWERS[connection.dialect.name], answers)

    def stamped(self, answer: dict[str, Any]) -> dict[str, Any]:
        """An answer's row with the writer and the time."""
        return {**answer, "writer": self.writer, "answered": now()}

    def answers(self, keys: Iterable[str]) -> dict[str, Answer]:
        """The answers that are there, by key."""
        return {row.key: _answer(row) for row in self._in_chunks(select(AnswerRow), AnswerRow.key, keys)}

    def known(self, keys: Iterable[str]) -> set[str]:
        """Those of `keys` that were answered."""
        return {row.key for row in self._in_chunks(select(AnswerRow.key), AnswerRow.key, keys)}

    def held(self) -> int:
        """How many answers of the writer there are."""
        with self.engine.connect() as connection:
            return connection.execute(select(func.count()).where(AnswerRow.writer == self.writer)).scalar_one()

    def earlier(self, question_ids: Iterable[str]) -> dict[tuple[str, int], tuple[str, str, str]]:
        """(model, prompt, settings) of the latest answer for each question and sample, to say why a call must be bought again."""
        columns = select(AnswerRow.question_id, AnswerRow.sample, AnswerRow.model, AnswerRow.prompt, AnswerRow.settings, AnswerRow.answered)
        rows = self._in_chunks(columns.where(AnswerRow.writer == self.writer), AnswerRow.question_id, question_ids)
        return {(row.question_id, row.sample): (row.model, row.prompt, row.settings) for row in sorted(rows, key=lambda row: row.answered)}

    def history(self, model: str, prompt: str, examples: int) -> list[Answer]:
        """Up to 1,000 counted answers of `model` to this prompt with so many examples, the newest first."""
        chosen = select(AnswerRow).where(AnswerRow.writer == self.writer, AnswerRow.model == model, AnswerRow.prompt == prompt)
        with self.engine.connect() as connection:
            rows = connection.execute(
                chosen.where(AnswerRow.prompt_tokens.is_not(None)).order_by(AnswerRow.answered.desc()).limit(HISTORY)
            ).all()
        return [_answer(row) for row in rows if len(json.loads(row.examples)) == examples]

    def spending(self, run: str) -> Spending:
        """What `run` has spent so far."""
        paid, perhaps, sends = Decimal(0), Decimal(0), 0
        with self.engine.connect() as connection:
            for row in connection.execute(select(SendRow.state, SendRow.worst, SendRow.cost).where(SendRow.run == run)):
                if row.state == "paid":
                    paid += row.cost
                elif row.state in ("in_flight", "perhaps_paid"):
                    perhaps += row.worst
                    sends += 1
        return Spending(paid, perhaps, sends)

    def close_interrupted(self) -> Spending:
        """Mark what was in flight when an earlier process ended as perhaps paid; say how many and at most how much.

        Batches go on by themselves and are left alone.
        Only while the writer's lock is held (`ghostwriter.lock`): otherwise another process may still wait for them.
        """
        open_sends = (SendRow.writer == self.writer, SendRow.state == "in_flight", SendRow.batch.is_(None))
        with self.engine.begin() as connection:
            worst = list(connection.execute(select(SendRow.worst).where(*open_sends)).scalars())
            connection.execute(update(SendRow).where(*open_sends).values(state="perhaps_paid", fault="interrupted"))
        return Spending(perhaps_paid=sum(worst, Decimal(0)), perhaps_paid_sends=len(worst))

    def examples(self, rotation: str) -> dict[tuple[str, int], tuple[str, ...]]:
        """All examples chosen so far, by question and sample."""
        chosen = select(ExamplesRow).where(ExamplesRow.writer == self.writer, ExamplesRow.rotation == rotation)
        with self.engine.connect() as connection:
            return {(row.question_id, row.sample): tuple(json.loads(row.examples)) for row in connection.execute(chosen)}

    def keep_examples(self, rotation: str, chosen: Mapping[tuple[str, int], Sequence[str]]) -> None:
        """Write the examples of these questions and samples in place of any earlier ones."""
        rows = [
            {"writer": self.writer, "rotation": rotation, "question_id": question, "sample": sample, "examples": json.dumps(ids)}
            for (question, sample), ids in chosen.items()
        ]
        table = ExamplesRow.__table__
        with self.engine.begin() as connection:
            for chunk in _chunks(rows, CHUNK):
                _replace(connection, table, chunk)

    def _in_chunks(self, statement: Any, column: Any, values: Iterable[str]) -> Iterator[Any]:
        with self.engine.connect() as connection:
            for chunk in _chunks(list(values), CHUNK):
                yield from connection.execute(statement.where(column.in_(chunk)))


def _answer(row: Any) -> Answer:
    usage = None if row.prompt_tokens is None else Usage(row.prompt_tokens, row.cached_tokens, row.completion_tokens)
    return Answer(row.key, row.text, row.finish_reason, usage, row.cost)


def _replace(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> None:
    keys = [column.name for column in table.primary_key]
    match = [table.c[name] == bindparam(f"old_{name}") for name in keys]
    connection.execute(table.delete().where(*match), [{f"old_{name}": row[name] for name in keys} for row in rows])
    connection.execute(insert(table), rows)


def _chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]


def now() -> datetime:
    """The time a row is written, in UTC."""
    return datetime.now(UTC)
