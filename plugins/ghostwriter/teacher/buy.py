"""Sends calls to the teacher, as many at once as it bears, until each has an answer or has failed for good.

Each send goes: throttle -> purse (reserve the worst price) -> ledger (intent, committed) -> teacher -> ledger (answer) -> purse.
When the run must end (cap, key, outage, Ctrl-C), nothing new is sent, and what is in flight is waited for and kept. When Airflow
ends the task there are five seconds until it kills: what has not come after three is given up, counted as perhaps paid, and named.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Protocol

from ghostwriter.errors import GhostwriterError
from ghostwriter.model_settings import Teacher as Settings
from ghostwriter.teacher.advice import ADVICE
from ghostwriter.teacher.budget import Message, Prices, Purse, money
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.client import CallFault, Reply, Teacher, TeacherDown
from ghostwriter.teacher.health import Failure, Health, Outcome
from ghostwriter.teacher.journal import Journal
from ghostwriter.teacher.ledger import Answer, answer_row
from ghostwriter.teacher.stop import STOP, Stop
from ghostwriter.teacher.throttle import Throttle
from ghostwriter.tokens import estimate_tokens

log = logging.getLogger(__name__)

TRIES = 5
"""Sends of one call that may end in a fault of its own before it counts as failed."""
UNBOUNDED_THOUGHTS = (
    "%s thinks before it answers: its thoughts are paid for, but neither in the estimate nor within teacher.max_tokens, so the cap may be"
    " crossed by them. Turn them off or bound them under [teacher]: parameters = { enable_thinking = false }, or thinking_budget = 512."
)
WRITING = 8
"""One worker more for so many: an answer is written down while the next call is in flight."""
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between two sends of one call: doubled each time, jittered by half."""
GRACE_SECONDS = 3.0
"""For what is in flight when a stop is asked for: Airflow kills a task five seconds after it has told it to end."""
NAMED = 12
"""Characters of a request's key that name it in the log; the ledger's column `key` begins with them."""
OVERLOAD = frozenset({"rate_limit", "server_error", "unreachable"})
"""Faults of the teacher, not of the call: they use up no try unless other calls succeed meanwhile."""

Deliver = Callable[[Call, Outcome], None]


class Plan(Protocol):
    """What the calls were taken from: how many so far, what each one sends, and what the ledger keeps of it beside the answer."""

    planned: int

    def messages(self, call: Call) -> list[Message]:
        """What the teacher is sent."""

    def facts(self, call: Call) -> dict[str, Any]:
        """The columns of the ledger's row that do not come from the answer."""


class Interrupted(GhostwriterError):
    """Ctrl-C, or Airflow ended the task."""

    code = "interrupted"
    retryable = True


class Buyer:
    """Buys answers for one run."""

    def __init__(
        self,
        teacher: Teacher,
        journal: Journal,
        purse: Purse,
        throttle: Throttle,
        plan: Plan,
        settings: Settings,
        prices: Prices,
        stop: Stop = STOP,
    ) -> None:
        self._teacher = teacher
        self._journal = journal
        self._purse = purse
        self._throttle = throttle
        self._plan = plan
        self._settings = settings
        self._prices = prices
        self._health = Health(settings)
        self._told_of_thoughts = False
        self._stopped: GhostwriterError | None = None
        self._stop_asked = stop
        self._asking: set[asyncio.Task[None]] = set()
        """Workers that wait for the teacher."""
        self._given_up: dict[str, Decimal] = {}
        """Worst prices of the calls that a stop did not wait for, by key."""

    async def buy(self, calls: Sequence[Call], deliver: Deliver) -> None:
        """Obtain every call and hand each outcome to `deliver` as it comes. Raises the error that ended the run early, if one did."""
        self._health.heard()
        queue = iter(calls)
        number = min(self._settings.concurrency + self._settings.concurrency // WRITING, len(calls))
        workers = [asyncio.create_task(self._work(queue, deliver)) for _ in range(number)]
        loop = asyncio.get_running_loop()
        with self._stop_asked.told_to(lambda: loop.call_soon_threadsafe(self._end_soon)):
            if workers:
                await self._all_ended(workers)
        self._name_given_up()
        if self._stopped:
            raise self._stopped

    async def _all_ended(self, workers: Sequence[asyncio.Task[None]]) -> None:
        """Return once every worker has; when one is interrupted or fails, the others send nothing new and keep what is in flight."""
        try:
            await asyncio.wait(workers, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            if not all(worker.done() for worker in workers):
                self._stop(self._interrupted())
                await asyncio.wait(workers)
        for worker in workers:
            worker.result()

    def _end_soon(self) -> None:
        """Send nothing more, and give up what has not come within the grace."""
        self._stop(self._interrupted())
        asyncio.get_running_loop().call_later(GRACE_SECONDS, self._give_up)

    def _give_up(self) -> None:
        for worker in self._asking:
            worker.cancel()

    def _name_given_up(self) -> None:
        if self._given_up:
            log.warning(
                "%d calls were in flight and were not waited for: counted as perhaps paid, at most %s: %s.",
                len(self._given_up),
                money(sum(self._given_up.values(), Decimal(0))),
                ", ".join(key[:NAMED] for key in self._given_up),
            )

    async def _work(self, queue: Iterator[Call], deliver: Deliver) -> None:
        for call in queue:
            try:
                outcome = await self._obtain(call)
                deliver(call, outcome)
                self._health.count(outcome, self._plan.planned)
            except GhostwriterError as error:
                self._stop(error)
            if self._stopped:
                return

    def _stop(self, error: GhostwriterError) -> None:
        self._stopped = self._stopped or error
        self._throttle.stop()

    async def _obtain(self, call: Call) -> Outcome:
        messages = self._plan.messages(call)
        tries = 0
        for number in range(10_000):
            answers_before = self._health.answers
            try:
                return await self._send(call, messages)
            except CallFault as fault:
                if fault.ends_run:
                    raise fault.ends_run(f"{fault.message}. {ADVICE[fault.code]} What was bought is kept.") from None
                if fault.code not in OVERLOAD or (fault.code != "rate_limit" and self._health.answers > answers_before):
                    tries += 1
                if not fault.again or tries >= TRIES:
                    return Failure(fault.code, fault.message)
                self._health.check_outage(fault)
                await self._throttle.pause(_pause(number) if fault.retry_after is None else 0)
        raise TeacherDown(
            "The teacher refused one call 10,000 times. Lower teacher.concurrency, and run again later: what was bought is kept."
        )

    async def _send(self, call: Call, messages: list[Message]) -> Answer:
        """One send, written down before and after. Raises CallFault, BudgetExceeded, or what has stopped the run meanwhile."""
        expected = self._expected_tokens(messages)
        worst = self._prices.worst(messages, self._settings.longest_reply)
        started = await self._throttle.enter(expected)
        try:
            if self._stopped:
                raise self._stopped
            await self._purse.reserve(worst)
            send = await self._intend(call, worst)
            try:
                reply = await self._ask(messages)
            except CallFault as fault:
                await self._settle_fault(send, fault, worst, started)
                raise
            except asyncio.CancelledError:
                self._given_up[call.key] = worst
                await self._journal.settle(send, "perhaps_paid", None, "interrupted")
                raise self._interrupted() from None
            self._throttle.answered(expected, reply.usage.prompt + reply.usage.completion if reply.usage else expected)
            self._health.heard()
        finally:
            await self._throttle.leave()
        return await self._settle_reply(call, send, reply, worst)

    async def _intend(self, call: Call, worst: Decimal) -> str:
        try:
            return await self._journal.intend(call.key, worst)
        except GhostwriterError:
            await self._purse.settle(worst, Decimal(0))
            raise

    async def _ask(self, messages: list[Message]) -> Reply:
        """The teacher's reply. Raises CallFault, and CancelledError when it is given up."""
        worker = asyncio.current_task()
        assert worker
        self._asking.add(worker)
        try:
            return await self._teacher.ask(messages)
        finally:
            self._asking.discard(worker)

    def _expected_tokens(self, messages: list[Message]) -> float:
        """Of prompt and answer; 0 where nobody limits them."""
        if self._settings.tokens_per_minute is None:
            return 0.0
        return sum(estimate_tokens(message["content"]) for message in messages) + self._settings.max_tokens / 2

    async def _settle_fault(self, send: str, fault: CallFault, worst: Decimal, started: float) -> None:
        if fault.code in OVERLOAD:
            self._throttle.refused(started, None if self._health.asks_too_long(fault) else fault.retry_after)
        try:
            await self._journal.settle(send, "perhaps_paid" if fault.perhaps_paid else "free", None, fault.code)
        finally:
            await self._purse.settle(worst, worst if fault.perhaps_paid else Decimal(0))

    async def _settle_reply(self, call: Call, send: str, reply: Reply, worst: Decimal) -> Answer:
        """Keep the answer. A server that does not count its tokens is taken to have used all it may."""
        cost = self._prices.cost(reply.usage) if reply.usage else worst
        if reply.thought and not self._settings.thinking and not self._told_of_thoughts:
            self._told_of_thoughts = True
            log.warning(UNBOUNDED_THOUGHTS, self._settings.model)
        answer = Answer(call.key, reply.text, reply.finish_reason, reply.usage, cost)
        try:
            await self._journal.settle(send, "paid", cost, answer=answer_row(self._plan.facts(call), answer))
        finally:
            await self._purse.settle(worst, cost)
        return answer

    def _interrupted(self) -> Interrupted:
        return Interrupted(f"{self._stop_asked.why}; what was bought is kept, run again to go on.")


def _pause(number: int) -> float:
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(number, 10)) * random.uniform(0.5, 1)
