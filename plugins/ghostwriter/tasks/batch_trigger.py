"""A deferrable Airflow task that buys through the vendor's Batch API: it submits, frees the worker, and applies what came.

    DistillInBatch(task_id="wait_for_batch", stem="lamplight", answers="...") >> the ordinary distilling task

Nothing is kept in Airflow's state: a retry, a clear or a crash finds the open batch in the ledger and waits for it again.
The client is imported where it is used: DAG files import this module each time they are parsed.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

from ghostwriter.errors import TeacherError
from ghostwriter.home import Home
from ghostwriter.tasks.body import actionable
from ghostwriter.tasks.dataset_stages import answers_to_distill
from ghostwriter.tasks.stoppable import end_body
from ghostwriter.tasks.time_limits import BATCH_WAIT
from ghostwriter.writer import load_writer

POLL_SECONDS = 60.0
TRIGGER_AWAY = timedelta(hours=1)
"""Beyond the wait: then the scheduler ends a task whose trigger nobody runs."""


class BatchTrigger(BaseTrigger):
    """Fires once when the teacher has finished with a batch; only a connection's name travels, never the key."""

    def __init__(self, connection: str, batch: str, poll_seconds: float = POLL_SECONDS, until: float | None = None) -> None:
        """`until`: seconds since the epoch after which nobody waits any more; a trigger of an earlier version has none."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.connection = connection
        self.batch = batch
        self.poll_seconds = poll_seconds
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """How the triggerer makes this trigger again."""
        values = {"connection": self.connection, "batch": self.batch, "poll_seconds": self.poll_seconds, "until": self.until}
        return f"{type(self).__module__}.{type(self).__qualname__}", values

    def _overdue(self) -> str:
        hours = BATCH_WAIT.total_seconds() / 3600
        return (
            f"Batch {self.batch} is not finished after {hours:.0f} hours, longer than vendors promise. Look at it on the vendor's page. "
            "Clear this task to wait as long again, or give the batch up with `python -m ghostwriter distill WRITER --forget-batch`."
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look at the batch until it is finished. A teacher that is down for a while is looked at again; other errors wake the task."""
        from ghostwriter.distilling.batch import batch_status
        from ghostwriter.tasks.connections import teacher_endpoint

        endpoint = await asyncio.to_thread(teacher_endpoint, self.connection)
        while True:
            try:
                if await asyncio.to_thread(batch_status, endpoint, self.batch) == "finished":
                    yield TriggerEvent({"batch": self.batch, "error": None})  # type: ignore[no-untyped-call]
                    return
            except TeacherError as error:
                if not error.retryable:
                    yield TriggerEvent({"batch": self.batch, "error": str(error)})  # type: ignore[no-untyped-call]
                    return
                self.log.warning("Batch %s: %s", self.batch, error)
            if self.until and time.time() > self.until:
                yield TriggerEvent({"batch": self.batch, "error": self._overdue()})  # type: ignore[no-untyped-call]
                return
            await asyncio.sleep(self.poll_seconds)


class DistillInBatch(BaseOperator):
    """Buys what the ledger lacks in batches, waiting for each without a worker; returns the snapshot of answers it worked from.

    The form's `wanted` and `mode` count; modes `direct` and `self-instruct` have no batches.
    """

    template_fields = ("answers",)

    def __init__(self, *, stem: str, answers: Any, poll_seconds: float = POLL_SECONDS, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stem = stem
        self.answers = answers
        self.poll_seconds = poll_seconds

    @actionable
    def execute(self, context: Any) -> str:
        """Wait for the writer's open batch, submitting one if there is none; end when no row is left for one."""
        from ghostwriter.distilling.batch import open_batch
        from ghostwriter.tasks.connections import teacher_endpoint

        form, plain = context["params"], load_writer(self.stem)
        answers = answers_to_distill(plain, form, context["dag_run"])
        writer = plain.with_teacher_answers(form["wanted"])
        if form["mode"] in ("direct", "self-instruct"):
            return answers
        buy_again = form["buy_again"] or answers == self.answers  # estimate_cost has asked about these
        endpoint = teacher_endpoint(writer.teacher.connection)
        batch = open_batch(writer, Home.default(), Path(answers), endpoint, form["mode"], buy_again=buy_again)
        if batch is None:
            return answers
        until = time.time() + BATCH_WAIT.total_seconds()
        trigger = BatchTrigger(writer.teacher.connection, batch, self.poll_seconds, until)
        self.defer(trigger=trigger, method_name="apply", timeout=BATCH_WAIT + TRIGGER_AWAY)
        raise AssertionError("defer() raises")

    def on_kill(self) -> None:
        """Airflow ends the task: what a batch has is in the ledger, and the next attempt finds it there."""
        end_body()

    @actionable
    def apply(self, context: Any, event: dict[str, Any]) -> str:
        """Write what came into the ledger, and look whether another batch is needed."""
        from ghostwriter.distilling.batch import apply_batch
        from ghostwriter.tasks.connections import teacher_endpoint

        if event["error"]:
            raise TeacherError(event["error"])
        writer = load_writer(self.stem)
        apply_batch(writer, Home.default(), teacher_endpoint(writer.teacher.connection), event["batch"])
        return self.execute(context)
