"""`@stoppable`: a task that ends when Airflow ends it. A plain `@task` hears of it and goes on, spending, until it is killed.

Airflow sends SIGTERM when a person marks a task failed, clears or deletes it, or stops the worker; its handler calls `on_kill` and
nothing else, and kills five seconds later. A task whose worker was killed gets the same signal from the kernel.
"""

import ctypes
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType
from typing import Any

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.sdk.bases.decorator import task_decorator_factory
from airflow.sdk.exceptions import AirflowTaskTimeout

from ghostwriter.teacher.progress import duration
from ghostwriter.teacher.stop import STOP

PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
LAST_SECONDS = 30.0
"""For a purchase whose time is up, to keep what is in flight and end."""


class StoppableOperator(_PythonDecoratedOperator):
    """What `@stoppable` makes of a function."""

    custom_operator_name = "@stoppable"

    def execute(self, context: Any) -> Any:
        """Run the function; the end of the worker ends it, too."""
        end_with_worker()
        with ended_in_time(self.execution_timeout):
            return super().execute(context)

    def on_kill(self) -> None:
        """End the function."""
        end_body()


def end_body() -> None:
    """Tell a purchase to end, so that it keeps what arrives; interrupt anything else where it stands.

    What Airflow has interrupted itself, because its time was up, is ending already.
    """
    if not isinstance(sys.exception(), AirflowTaskTimeout) and not STOP.ask():
        raise KeyboardInterrupt("Airflow ended this task. What is done is kept.")


@contextmanager
def ended_in_time(limit: timedelta | None) -> Iterator[None]:
    """Within Airflow's time limit: when it is up, tell a purchase to end, and interrupt only what is no purchase or does not end."""
    if limit is None:
        yield
        return
    interrupt = signal.getsignal(signal.SIGALRM)  # Airflow's, which raises AirflowTaskTimeout wherever the task is

    def time_is_up(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGALRM, interrupt)
        if STOP.ask(f"Ended by its time limit of {duration(limit.total_seconds())} ([limits] in the writer file)"):
            signal.setitimer(signal.ITIMER_REAL, LAST_SECONDS)
        elif callable(interrupt):
            interrupt(number, frame)

    signal.signal(signal.SIGALRM, time_is_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, interrupt)


def stoppable(**settings: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function as a task, with an operator's settings."""
    return task_decorator_factory(decorated_operator_class=StoppableOperator, **settings)


def end_with_worker() -> None:
    """Have the kernel send SIGTERM when the process that started this one ends: nobody else would tell an orphan."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
