"""Runs what `distill` or `sleep` does as Airflow runs a task: a handler of SIGTERM that calls `on_kill` and nothing else.

python stopped_task.py distill HOME ANSWERS BASE_URL        python stopped_task.py sleep
"""

import logging
import signal
import sys
import time
from pathlib import Path

from ghostwriter.tasks.stoppable import end_body, end_with_worker


def main(what: str, home: str = "", answers: str = "", base_url: str = "") -> None:
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    end_with_worker()
    signal.signal(signal.SIGTERM, lambda *_: end_body())
    if what == "sleep":
        sys.stdout.write("asleep\n")
        sys.stdout.flush()
        time.sleep(60)
    else:
        buy(Path(home), Path(answers), base_url)


def buy(home: Path, answers: Path, base_url: str) -> None:
    """Distil 500 answers; importing what that needs takes seconds."""
    from pydantic import SecretStr

    from ghostwriter.distilling.distill import distill
    from ghostwriter.home import Home
    from ghostwriter.teacher.client import Endpoint
    from tests.distill_case import PRICES, make_writer
    from tests.teacher_server import KEY

    writer = make_writer(answers=500, budget=PRICES)
    distill(writer, Home(home), answers, Endpoint(base_url=base_url, key=SecretStr(KEY)))


if __name__ == "__main__":
    main(*sys.argv[1:])
