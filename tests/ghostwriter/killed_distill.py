"""Runs `distill` again and again for the kill test: each line on stdin starts one in a process of its own, whose id is printed.

Everything is imported once and each run is forked from that, so that fifty starts cost little.
"""

import os
import sys
from pathlib import Path

from pydantic import SecretStr

from ghostwriter.distill import distill
from ghostwriter.home import Home
from ghostwriter.teacher import Endpoint
from tests.distill_case import PRICES, make_writer
from tests.teacher_server import KEY


def main(home: str, answers: str, base_url: str, wanted: str) -> None:
    """Fork one run for each line, say its id, wait for its end, say that."""
    writer = make_writer(answers=int(wanted), budget=PRICES)
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            distill(writer, Home(Path(home)), Path(answers), Endpoint(base_url=base_url, key=SecretStr(KEY)))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        _, status = os.waitpid(child, 0)
        sys.stdout.write(f"ended {status}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
