"""`@stoppable`: a task that ends when Airflow ends it. A plain `@task` hears of it and goes on, spending, until it is killed.

Airflow sends SIGTERM when a person marks a task failed, clears or deletes it, or stops the worker; its handler calls `on_kill` and
nothing else, and kills five seconds later. A task whose worker was killed gets the same signal from the kernel.
"""

import ctypes
import signal
import sys
from collections.abc import Callable
from typing import Any

from airflow.providers.standard.decorators.python import _PythonDecoratedOperator
from airflow.sdk.bases.decorator import task_decorator_factory

from ghostwriter.teacher.stop import STOP

PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG


class StoppableOperator(_PythonDecoratedOperator):
    """What `@stoppable` makes of a function."""

    custom_operator_name = "@stoppable"

    def execute(self, context: Any) -> Any:
        """Run the function; the end of the worker ends it, too."""
        end_with_worker()
        return super().execute(context)

    def on_kill(self) -> None:
        """End the function."""
        end_body()


def end_body() -> None:
    """Tell a purchase to end, so that it keeps what arrives; interrupt anything else where it stands."""
    if not STOP.ask():
        raise KeyboardInterrupt("Airflow ended this task. What is done is kept.")


def stoppable(**settings: Any) -> Callable[[Callable[..., Any]], Any]:
    """Decorate a function as a task, with an operator's settings."""
    return task_decorator_factory(decorated_operator_class=StoppableOperator, **settings)


def end_with_worker() -> None:
    """Have the kernel send SIGTERM when the process that started this one ends: nobody else would tell an orphan."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGTERM)
