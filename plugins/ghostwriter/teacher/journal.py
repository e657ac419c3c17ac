"""The ledger's writes from an event loop: many calls share one transaction, and none goes on before its own is committed."""

import asyncio
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count, repeat
from types import TracebackType
from typing import Any, Self

from ghostwriter.teacher.ledger import Ledger, SendState, now


@dataclass
class _Batch:
    """Rows that wait for the next commit."""

    sends: list[dict[str, Any]] = field(default_factory=list)
    settled: list[dict[str, Any]] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)


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
            await asyncio.get_running_loop().run_in_executor(self._thread, self._ledger.record, batch.sends, batch.settled, batch.answers)
