"""The ledger's writes from an event loop: many calls share one transaction, and none goes on before its own is committed.

A commit that fails is tried again. One that fails for good ends the run, and its answers, which are paid for, stay to be
written with the next one: those of calls still in flight, or the last one as the journal is closed.
"""

import asyncio
import logging
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count, repeat
from types import TracebackType
from typing import Any, Self

from sqlalchemy.exc import InterfaceError, OperationalError

from ghostwriter.errors import HomeError
from ghostwriter.teacher.ledger import Ledger, SendState, now

log = logging.getLogger(__name__)

PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds between two tries of a commit; SQLite itself waits half a minute in each for another process's lock."""


@dataclass
class _Batch:
    """Rows that wait for the next commit."""

    sends: list[dict[str, Any]] = field(default_factory=list)
    settled: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)

    def put_back(self, failed: "_Batch") -> None:
        """Take over how sends ended; requests that were about to be sent are not, their callers know of the failure."""
        self.settled = failed.settled + self.settled
        self.answers = failed.answers + self.answers


class Journal:
    """Group commits into a ledger: while one transaction is written, the next gathers. Use as an async context manager."""

    def __init__(self, ledger: Ledger, run: str) -> None:
        self._ledger = ledger
        self._run = run
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="ledger")
        self._batch = _Batch()
        self._sends = map("{}{:08x}".format, repeat(secrets.token_hex(12)), count())
        """Names of sends: new ones stand at the end of the database's index, whose other pages need no writing."""
        self._writing = asyncio.Lock()
        self._commit: asyncio.Task[None] | None = None
        """Of `_batch`; its error reaches everyone whose rows are in there."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._commit:
            await asyncio.wait([self._commit])
        async with self._writing:
            if self._batch.settled:
                await self._record_last()
            self._thread.shutdown()

    async def intend(self, key: str, worst: Decimal) -> str:
        """Write down that a request is about to be sent; returns the send's id once that is committed."""
        send = next(self._sends)
        row = {"id": send, "key": key, "writer": self._ledger.writer, "run": self._run, "state": "in_flight", "sent": now(), "worst": worst}
        self._batch.sends.append({**row, "cost": None, "fault": None, "batch": None})
        await self._committed()
        return send

    async def settle(
        self, send: str, state: SendState, cost: Decimal | None, fault: str | None = None, answer: dict[str, Any] | None = None
    ) -> None:
        """Write down how a send ended, and its answer in the same transaction."""
        self._batch.settled.append({"send": send, "to": state, "paid": cost, "why": fault})
        if answer:
            self._batch.answers.append(self._ledger.stamped(answer))
        await self._committed()

    async def _committed(self) -> None:
        self._commit = self._commit or asyncio.create_task(self._write())
        await asyncio.shield(self._commit)

    async def _write(self) -> None:
        async with self._writing:
            batch, self._batch, self._commit = self._batch, _Batch(), None
            try:
                await self._record(batch)
            except (OperationalError, InterfaceError) as error:
                self._batch.put_back(batch)
                raise HomeError(
                    f"The ledger cannot be written: {error.orig}. Free the disk or look at the database, then run again: "
                    "what was bought is kept."
                ) from error

    async def _record(self, batch: _Batch) -> None:
        """One transaction, tried again a few times. Raises the database's own error after that."""
        loop = asyncio.get_running_loop()
        for pause in (*PAUSES, None):
            try:
                await loop.run_in_executor(self._thread, self._ledger.record, batch.sends, batch.settled, batch.answers)
                return
            except (OperationalError, InterfaceError) as error:
                if pause is None:
                    raise
                log.warning("The ledger could not be written (%s); again in %g s.", error.orig, pause)
                await asyncio.sleep(pause)

    async def _record_last(self) -> None:
        """What failed commits left. The error that ended the run is told; this only adds what could not be kept."""
        try:
            await self._record(self._batch)
        except (OperationalError, InterfaceError):
            log.error("%d answers that were paid for could not be written down and are lost.", len(self._batch.answers))
