"""What a writer has spent this calendar month, and the limit that no call may cross: `[budget] month`.

The month is that of the writer's own clock. All that is paid for the writer counts, the teacher's calls, the student's and the
judge's: what was paid, and at worst what is in flight or was perhaps paid. A batch counts in the month it was sent.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, Decimal
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, Float, case, cast, func, select

from ghostwriter.errors import BudgetExceeded
from ghostwriter.teacher.budget import money
from ghostwriter.teacher.ledger import SendRow
from ghostwriter.writer import Writer

REREAD_SECONDS = 30.0
"""How long the sum of the writer's other runs (the judge's beside the teacher's) is taken for current."""
GRAIN = Decimal("0.000001")
"""To which a sum of the database's is rounded up, but for what comes of its adding floats, which stands behind the ninth digit."""


class MonthSpent(BudgetExceeded):
    """The next call could cross what the writer may cost in a month; everything bought so far is kept."""

    code = "month_spent"


def month_start(now: datetime, timezone: str) -> datetime:
    """When the current month began where the writer's clock is, in UTC."""
    local = now.astimezone(ZoneInfo(timezone))
    return local.replace(day=1, hour=0, minute=0, second=0, microsecond=0).astimezone(UTC)


def next_month(start: datetime, timezone: str) -> datetime:
    """When the month after the one that began at `start` begins there, on the writer's clock."""
    later = start.astimezone(ZoneInfo(timezone)) + timedelta(days=32)
    return later.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def spent_since(engine: Engine, writer: Writer, start: datetime, *, but_run: str = "", only_run: str = "") -> Decimal:
    """What was paid for a writer since `start`, at worst for what nobody knows yet; without one run's sends, or of one run's only."""
    price = case((SendRow.state == "paid", cast(SendRow.cost, Float)), (SendRow.state == "free", 0.0), else_=cast(SendRow.worst, Float))
    chosen = select(func.sum(price)).where(SendRow.writer.in_(writer.ledgers), SendRow.sent >= start)
    if but_run:
        chosen = chosen.where(SendRow.run != but_run)
    if only_run:
        chosen = chosen.where(SendRow.run == only_run)
    with engine.connect() as connection:
        found = connection.execute(chosen).scalar() or 0.0
    return Decimal(f"{found:.9f}").quantize(GRAIN, ROUND_CEILING)


class Month:
    """A writer's limit of a month, as one run sees it: the run's own money is counted here, that of the writer's others is looked up."""

    def __init__(
        self, writer: Writer, engine: Engine, run: str, spent: Decimal, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        """`spent` is the run's total so far, whatever the month."""
        self._writer, self._engine, self._run, self._clock = writer, engine, run, clock
        self._limit, self._timezone = writer.budget.month, writer.schedule.timezone
        self._start = month_start(clock(), self._timezone)
        self._earlier = Decimal(0) if self._limit is None else spent - spent_since(engine, writer, self._start, only_run=run)
        """Of the run's own total, what belongs to earlier months."""
        self._others, self._read = Decimal(0), -REREAD_SECONDS

    def check(self, spent: Decimal, reserved: Decimal, worst: Decimal) -> None:
        """Raise MonthSpent when a call at its worst price could cross the limit; the run has spent and reserved so much."""
        if self._limit is None:
            return
        self._look_at_the_clock(spent)
        own = spent + reserved - self._earlier
        if time.monotonic() - self._read > REREAD_SECONDS or self._others + own + worst > self._limit:
            self._others = spent_since(self._engine, self._writer, self._start, but_run=self._run)
            self._read = time.monotonic()
        if self._others + own + worst > self._limit:
            raise MonthSpent(self._words(self._others + own, worst))

    def _look_at_the_clock(self, spent: Decimal) -> None:
        """A run that goes on into the next month begins there at 0, but for what is in flight."""
        start = month_start(self._clock(), self._timezone)
        if start != self._start:
            self._start, self._earlier, self._read = start, spent, -REREAD_SECONDS

    def _words(self, used: Decimal, worst: Decimal) -> str:
        began = self._start.astimezone(ZoneInfo(self._timezone))
        again = next_month(self._start, self._timezone)
        return (
            f"This month's limit of {money(self._limit or Decimal(0))} is reached: {money(used)} spent on {self._writer.name} since "
            f"{began:%d %B} (calls in flight and possibly paid ones included), and the next call could cost {money(worst)}. "
            f"Everything bought is kept. From {again:%d %B %Y} ({self._timezone}) on the nights go on from here by themselves; "
            "to go on now, raise budget.month in the writer file and run again."
        )
