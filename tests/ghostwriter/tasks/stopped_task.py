"""Runs what `distill` or `sleep` does as Airflow runs a task: a handler of SIGTERM that calls `on_kill` and nothing else.

python stopped_task.py distill HOME ANSWERS BASE_URL [SECONDS]        python stopped_task.py sleep [SECONDS]

With SECONDS the task has a time limit, as Airflow sets one.
"""

import logging
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from airflow.sdk.exceptions import AirflowTaskTimeout
from airflow.sdk.execution_time.timeout import timeout

from ghostwriter.tasks.stoppable import end_body, end_with_worker, ended_in_time


def main(what: str, *arguments: str) -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    end_with_worker()
    signal.signal(signal.SIGTERM, lambda *_: end_body())
    seconds = float(arguments[-1]) if len(arguments) in (1, 4) else 0.0
    try:
        if what == "sleep":
            sleep(seconds)
        else:
            buy(Path(arguments[0]), Path(arguments[1]), arguments[2], seconds)
    except AirflowTaskTimeout:
        end_body()  # Airflow calls `on_kill`
        raise


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Airflow's time limit around a task's body; none for 0."""
    if not seconds:
        yield
        return
    with timeout(seconds), ended_in_time(timedelta(seconds=seconds)):
        yield


def sleep(seconds: float) -> None:
    with limited(seconds):
        sys.stdout.write("asleep\n")
        sys.stdout.flush()
        time.sleep(60)


def buy(home: Path, answers: Path, base_url: str, seconds: float) -> None:
    """Distil 500 answers; importing what that needs takes seconds."""
    from pydantic import SecretStr

    from ghostwriter.distilling.distill import distill
    from ghostwriter.home import Home
    from ghostwriter.teacher.client import Endpoint
    from tests.distill_case import PRICES, make_writer
    from tests.teacher_server import KEY

    writer = make_writer(answers=500, budget=PRICES)
    with limited(seconds):
        distill(writer, Home(home), answers, Endpoint(base_url=base_url, key=SecretStr(KEY)))


if __name__ == "__main__":
    main(*sys.argv[1:])
