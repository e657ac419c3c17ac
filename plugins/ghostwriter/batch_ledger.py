"""Batches in the ledger: the intent with all its sends in one transaction, the vendor's id as soon as it is known."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import DateTime, Engine, String, insert, select, update
from sqlalchemy.orm import Mapped, mapped_column

from ghostwriter.database import Base
from ghostwriter.ledger import SendRow, now


class BatchRow(Base):
    """One batch: intended -> submitted (its vendor's id is known) -> applied, or abandoned (it never reached the vendor)."""

    __tablename__ = "teacher_batches"

    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    writer: Mapped[str] = mapped_column(String(64), index=True)
    run: Mapped[str] = mapped_column(String(64), index=True)
    state: Mapped[str] = mapped_column(String(16))
    vendor_id: Mapped[str | None] = mapped_column(String(128), index=True)
    intended: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True)
class OpenBatch:
    """A batch that was intended or submitted, and not applied."""

    name: str
    vendor_id: str | None


@dataclass(frozen=True)
class PlannedSend:
    """One request of a batch: its send's id, the request's key, and the most it can cost."""

    id: str
    key: str
    worst: Decimal


class BatchLedger:
    """Reads and writes of one writer's batches; every method is one transaction."""

    def __init__(self, engine: Engine, writer: str) -> None:
        self._engine = engine
        self._writer = writer

    def open(self, run: str | None = None) -> OpenBatch | None:
        """The batch of `run` (of any run, if none is named) that is not finished with."""
        chosen = select(BatchRow.name, BatchRow.vendor_id).where(BatchRow.writer == self._writer)
        chosen = chosen.where(BatchRow.state.in_(("intended", "submitted")))
        with self._engine.connect() as connection:
            row = connection.execute(chosen.where(BatchRow.run == run) if run else chosen).first()
        return OpenBatch(row.name, row.vendor_id) if row else None

    def intend(self, run: str, sends: Sequence[PlannedSend]) -> str:
        """Write the batch and all its sends before anything leaves; returns the batch's name."""
        name, moment = secrets.token_hex(16), now()
        batch = {"name": name, "writer": self._writer, "run": run, "state": "intended", "vendor_id": None, "intended": moment}
        row = {"writer": self._writer, "run": run, "state": "in_flight", "sent": moment, "cost": None, "fault": None, "batch": name}
        with self._engine.begin() as connection:
            connection.execute(insert(BatchRow), [batch])
            connection.execute(insert(SendRow), [{**row, "id": send.id, "key": send.key, "worst": send.worst} for send in sends])
        return name

    def submitted(self, name: str, vendor_id: str) -> None:
        """The vendor has taken the batch."""
        self._set(name, state="submitted", vendor_id=vendor_id)

    def abandon(self, name: str) -> None:
        """The batch never reached the vendor: its sends cost nothing."""
        free = (
            update(SendRow)
            .where(SendRow.batch == name, SendRow.state == "in_flight")
            .values(state="free", fault="batch_abandoned", batch=None)
        )
        with self._engine.begin() as connection:
            connection.execute(free)
            connection.execute(update(BatchRow).where(BatchRow.name == name).values(state="abandoned"))

    def close(self, vendor_id: str) -> None:
        """Every row of the batch is settled."""
        with self._engine.begin() as connection:
            connection.execute(update(BatchRow).where(BatchRow.vendor_id == vendor_id).values(state="applied"))

    def keys(self, run: str) -> set[str]:
        """Keys of all requests that went with a batch of `run`."""
        with self._engine.connect() as connection:
            return set(connection.execute(select(SendRow.key).where(SendRow.run == run, SendRow.batch.is_not(None))).scalars())

    def sends(self, vendor_id: str) -> dict[str, Any]:
        """The sends (id, key, state, worst) of a batch, by id."""
        chosen = select(SendRow.id, SendRow.key, SendRow.state, SendRow.worst).join(BatchRow, BatchRow.name == SendRow.batch)
        with self._engine.connect() as connection:
            return {row.id: row for row in connection.execute(chosen.where(BatchRow.vendor_id == vendor_id))}

    def _set(self, name: str, **values: Any) -> None:
        with self._engine.begin() as connection:
            connection.execute(update(BatchRow).where(BatchRow.name == name).values(**values))
