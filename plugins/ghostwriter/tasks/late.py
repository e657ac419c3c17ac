"""A night that hangs is told: when it is late, which ends nothing, and when its time limit has ended it."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from airflow.sdk.definitions.callback import AsyncCallback
from airflow.sdk.definitions.deadline import DeadlineAlert, DeadlineReference

from ghostwriter.tasks.notify import tell
from ghostwriter.words.catalogue import say
from ghostwriter.writer import Writer, load_writer

log = logging.getLogger(__name__)

LATE = "late"
"""Name of a nightly DAG's deadline."""
LATE_WORDS = (
    "{dag} is late.",
    "The run {run} was to be done by {due}, and is not. Nothing was ended: it may hang, or wait for another writer's turn. "
    "Airflow's page of the run shows which.",
)
TIMED_OUT_WORDS = (
    "{dag} took too long and was ended.",
    "The run {run} is over. What was bought and the last checkpoint are kept; the next collection goes on from there. "
    "The logs of its tasks show where it hung.",
)


def when_late(writer: Writer, work: timedelta) -> DeadlineAlert:
    """A DAG's deadline: so long after a run was due, it is late. Its callback runs in the triggerer, which every executor has."""
    callback = AsyncCallback(tell_late, kwargs={"stem": writer.stem})
    return DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=work, callback=callback, name=LATE)


async def tell_late(stem: str, context: dict[str, Any]) -> str:
    """Say that a run is not done by its deadline; returns what was said. `context` holds the run and the deadline."""
    writer, run = load_writer(stem), context["dag_run"]
    zone = writer.schedule.timezone
    due = datetime.fromisoformat(str(context["deadline"]["deadline_time"])).astimezone(ZoneInfo(zone))
    facts = {"dag": run["dag_id"], "run": run["dag_run_id"], "due": f"{due:%Y-%m-%d %H:%M} ({zone})"}
    what, words = (say(line, writer.tongue).format(**facts) for line in LATE_WORDS)
    told = await asyncio.to_thread(tell, writer, what, words)
    log.warning("%s %s Told in %d places.", *(line.format(**facts) for line in LATE_WORDS), told)
    return words


@dataclass(frozen=True)
class RunTimeout:
    """A DAG's `on_failure_callback`: it tells of the end by `dagrun_timeout` only; of every other a task has told."""

    writer: Writer

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Tell, if that is why the run ended. What a sender raises stands in the DAG processor's log."""
        if context.get("reason") == "timed_out":
            facts = {"dag": context["dag"].dag_id, "run": context["run_id"]}
            tell(self.writer, *(say(line, self.writer.tongue).format(**facts) for line in TIMED_OUT_WORDS))
