"""What every task body shares: its DAG's defaults, and errors that say whether to try again."""

import functools
import logging
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, ParamSpec, TypeVar

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout

from ghostwriter.errors import GhostwriterError, TrackingError, WriterFileError
from ghostwriter.tasks.late import RunTimeout, when_late
from ghostwriter.tasks.notify import PROBLEM, PROBLEM_CODE, on_failure
from ghostwriter.tasks.time_limits import SHORT, longest
from ghostwriter.teacher.progress import duration
from ghostwriter.words.catalogue import Language, say, say_problem
from ghostwriter.writer import Writer, load_writer

log = logging.getLogger(__name__)

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")
GPU_POOL, TEACHER_POOL = "gpu", "teacher"
LONGEST_PROBLEM = 1_000
OWNER = "ghostwriter"
AGAIN = {"retries": 2, "retry_delay": timedelta(minutes=1), "retry_exponential_backoff": 2.0}
"""For what is away for a moment (MLflow, a worker that was killed). What a person must act on is never tried again: see `actionable`."""


PRIORITY = {"collect": 1, "distill": 10, "train": 100}
"""Of a DAG's first task; each later one adds those before it (`weight_rule`). So of twenty writers' nights the one that is furthest
goes first, and ends before the next begins, instead of all twenty ending in the morning."""


def dag_defaults(writer: Writer, kind: str, work: timedelta, stage: str = "collect", *, starts_paused: bool = False) -> dict[str, Any]:
    """What a writer's DAGs share. `kind` is a tag to filter the list of DAGs by: `nightly` or `by hand`.

    After `work` a night is late, which is told and ends nothing; long after it the run is ended, so that it does not hold up the
    nights behind it. A new writer has one switch, that of collecting: an event that a switched-off DAG misses is lost to it.
    """
    order = {"priority_weight": PRIORITY[stage], "weight_rule": "upstream"}
    return {
        "max_active_runs": 1,
        "dagrun_timeout": longest(work),
        "deadline": when_late(writer, work) if kind == "nightly" else None,
        "on_failure_callback": RunTimeout(writer),
        "auto_register": False,  # ghostwriter.tasks.writer_dags says why
        "is_paused_upon_creation": starts_paused,
        "tags": [OWNER, writer.stem, kind],
        "default_args": {"owner": OWNER, "on_failure_callback": on_failure(writer), "execution_timeout": SHORT, **AGAIN, **order},
    }


def titled(writer: Writer, stage: str) -> str:
    """The name a DAG is shown by."""
    return f"{writer.name}: {say(stage, writer.tongue)}"


def actionable(function: Callable[Arguments, Returned]) -> Callable[Arguments, Returned]:
    """Make a task body say what it does and how long it took, and end on what the person should do: no retry where none can help."""

    @functools.wraps(function)
    def call(*arguments: Arguments.args, **named: Arguments.kwargs) -> Returned:
        task_instance, started = _task_instance(), time.monotonic()
        if task_instance:
            log.info("%s: %s", task_instance.task_id, _purpose(task_instance.task))
        try:
            with _mlflow_in_words():
                returned = function(*arguments, **named)
        except GhostwriterError as error:
            if task_instance:
                words = say_problem(error.code, str(error), _language(task_instance))
                task_instance.xcom_push(PROBLEM, words[:LONGEST_PROBLEM])
                task_instance.xcom_push(PROBLEM_CODE, error.code)
            kind = AirflowException if error.retryable else AirflowFailException
            raise kind(f"{error.code}: {error}") from None
        except AirflowTaskTimeout:
            if task_instance:
                words = out_of_time(task_instance.task.execution_timeout)
                task_instance.xcom_push(PROBLEM, say_problem("out_of_time", words, _language(task_instance)))
            raise
        if task_instance:
            log.info("%s: done in %s.", task_instance.task_id, duration(time.monotonic() - started))
        return returned

    return call


def out_of_time(limit: timedelta) -> str:
    """What a person is told of a task that was ended by its time limit."""
    return (
        f"It was not done after {duration(limit.total_seconds())}, its time limit, and was ended. What is done is kept. If nothing "
        "hangs and it only needs longer, raise its hours under [limits] in the writer file; then trigger the DAG again, it goes on."
    )


@contextmanager
def _mlflow_in_words() -> Iterator[None]:
    """Turn an error of MLflow's client into one that says what to do."""
    try:
        yield
    except _mlflow_errors() as error:
        words = re.sub(r"//[^/@\s]+@", "//", str(error).splitlines()[0][:300])  # may hold a password
        raise TrackingError(
            f"MLflow did not do what was asked of it: {words} See that it runs, then clear this task; what is done stays done."
        ) from error


def _mlflow_errors() -> tuple[type[Exception], ...]:
    """What MLflow's client raises; nothing where it was never imported, which takes seconds."""
    module = sys.modules.get("mlflow.exceptions")
    return (module.MlflowException,) if module else ()


def _task_instance() -> Any:
    """Of the task that runs; None outside one, where there is no page to leave a word for."""
    try:
        return get_current_context()["ti"]
    except RuntimeError:
        return None


def _language(task_instance: Any) -> Language:
    """That of the writer whose DAG a task is of; English for a DAG that is no writer's, or whose file cannot be read."""
    try:
        return load_writer(task_instance.dag_id.rpartition("_")[0]).tongue
    except WriterFileError:
        return "en"


def _purpose(operator: Any) -> str:
    """The task's line on its page."""
    return next(iter((operator.doc_md or "").strip().splitlines()), "")
