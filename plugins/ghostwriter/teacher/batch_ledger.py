"""Batches in the ledger: the intent with all its sends in one transaction, the vendor's id as soon as it is known."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Engine, String, Text, exists, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from ghostwriter.database import Base
from ghostwriter.teacher.ledger import SendRow, now


class BatchRow(Base):
    """One batch: intended -> submitted (its vendor's id is known) -> applied -> removed (its files are gone).

    Or abandoned (the vendor did no work; then perhaps removed), or forgotten.
    """

    __tablename__ = "teacher_batches"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    writer: Mapped[str] = mapped_column(String(64), index=True)
    run: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16))
    vendor_id: Mapped[str | None] = mapped_column(String(128), index=True)
    intended: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class BatchRequestRow(Base):
    """What the ledger keeps of a request beside its answer, as JSON: a batch can outlive the plan that it was made from."""

    __tablename__ = "teacher_batch_requests"

    send: Mapped[str] = mapped_column(String(32), primary_key=True)
    facts: Mapped[str] = mapped_column(Text)


@dataclass(frozen=True)
class OpenBatch:
    """A batch that was intended or submitted, and not applied."""

    name: str
    vendor_id: str | None
    intended: datetime
    """In UTC."""


@dataclass(frozen=True)
class PlannedSend:
    """One request of a batch: its send's id, its facts (the request's key among them), and the most it can cost."""

    id: str
    facts: Mapping[str, Any]
    worst: Decimal


def owner_of(engine: Engine, vendor_id: str) -> str:
    """The name under which a batch's calls stand in the ledger."""
    with engine.connect() as connection:
        return connection.execute(select(BatchRow.writer).where(BatchRow.vendor_id == vendor_id)).scalar_one()


def settled(engine: Engine, writers: Sequence[str], before: datetime) -> list[str]:
    """The vendor's ids, oldest first, of batches intended `before` whose files hold nothing that the ledger lacks.

    Not one that was forgotten, nor one with a request that is perhaps paid: its answer may still be in the vendor's file.
    """
    doubtful = exists().where(SendRow.batch == BatchRow.name, SendRow.state.in_(("in_flight", "perhaps_paid")))
    chosen = select(BatchRow.vendor_id).where(BatchRow.writer.in_(writers), BatchRow.state.in_(("applied", "abandoned")))
    chosen = chosen.where(BatchRow.vendor_id.is_not(None), BatchRow.intended < before, ~doubtful).order_by(BatchRow.intended)
    with engine.connect() as connection:
        return [str(vendor_id) for vendor_id in connection.execute(chosen).scalars()]


def files_removed(engine: Engine, vendor_id: str) -> None:
    """The vendor has no file of the batch any more: nobody asks for them again."""
    with engine.begin() as connection:
        connection.execute(update(BatchRow).where(BatchRow.vendor_id == vendor_id).values(state="removed"))


class BatchLedger:
    """Reads and writes of one writer's batches; every method is one transaction."""

    def __init__(self, engine: Engine, writer: str) -> None:
        self._engine = engine
        self._writer = writer

    def open(self) -> OpenBatch | None:
        """The writer's batch that is not finished with, whichever run submitted it."""
        chosen = select(BatchRow.name, BatchRow.vendor_id, BatchRow.intended).where(BatchRow.writer == self._writer)
        chosen = chosen.where(BatchRow.state.in_(("intended", "submitted")))
        with self._engine.connect() as connection:
            row = connection.execute(chosen).first()
        return OpenBatch(row.name, row.vendor_id, row.intended.replace(tzinfo=UTC)) if row else None

    def intend(self, run: str, sends: Sequence[PlannedSend]) -> str:
        """Write the batch and all its sends before anything leaves; returns the batch's name."""
        name, moment = secrets.token_hex(16), now()
        batch = {"name": name, "writer": self._writer, "run": run, "state": "intended", "vendor_id": None, "intended": moment}
        row = {"writer": self._writer, "run": run, "state": "in_flight", "sent": moment, "cost": None, "fault": None, "batch": name}
        with self._engine.begin() as connection:
            connection.execute(insert(BatchRow), [batch])
            connection.execute(insert(SendRow), [{**row, "id": send.id, "key": send.facts["key"], "worst": send.worst} for send in sends])
            connection.execute(insert(BatchRequestRow), [{"send": send.id, "facts": json.dumps(send.facts)} for send in sends])
        return name

    def submitted(self, name: str, vendor_id: str) -> None:
        """The vendor has taken the batch."""
        self._set(name, state="submitted", vendor_id=vendor_id)

    def abandon(self, name: str) -> None:
        """The vendor did no work for the batch: its sends cost nothing, and may go with another one."""
        self._end(name, "abandoned", state="free", fault="batch_abandoned", batch=None)

    def forget(self, name: str) -> None:
        """Nobody waits for the batch any more: its sends count as perhaps paid."""
        self._end(name, "forgotten", state="perhaps_paid", fault="batch_forgotten")

    def close(self, vendor_id: str) -> None:
        """Every row of the batch is settled."""
        with self._engine.begin() as connection:
            connection.execute(update(BatchRow).where(BatchRow.vendor_id == vendor_id).values(state="applied"))

    def name(self, vendor_id: str) -> str:
        """Our name for a batch."""
        with self._engine.connect() as connection:
            return connection.execute(select(BatchRow.name).where(BatchRow.vendor_id == vendor_id)).scalar_one()

    def keys(self, run: str) -> set[str]:
        """Keys of all requests that went with a batch of `run`."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(SendRow.key).where(SendRow.run == run, SendRow.batch.is_not(None))).scalars())

    def sends(self, vendor_id: str) -> dict[str, Any]:
        """The sends (id, state, worst, facts as JSON) of a batch, by id."""
        chosen = select(SendRow.id, SendRow.state, SendRow.worst, BatchRequestRow.facts).join(BatchRow, BatchRow.name == SendRow.batch)
        chosen = chosen.join(BatchRequestRow, BatchRequestRow.send == SendRow.id)
        with self._engine.connect() as connection:
            return {row.id: row for row in connection.execute(chosen.where(BatchRow.vendor_id == vendor_id))}

    def _end(self, name: str, ended: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(SendRow).where(SendRow.batch == name, SendRow.state == "in_flight").values(**values))
            connection.execute(update(BatchRow).where(BatchRow.name == name).values(state=ended))

    def _set(self, name: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(BatchRow).where(BatchRow.name == name).values(**values))
