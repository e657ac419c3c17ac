"""Runs `distill` again and again for the kill test: each line on stdin starts one in a process of its own, whose id is printed.

Everything is imported once, also what the client imports with its first call, and each run is forked from that, so that fifty starts
cost little.
"""

import asyncio
import os
import sys
from contextlib import suppress
from pathlib import Path

from pydantic import SecretStr

from ghostwriter.distilling.distill import distill
from ghostwriter.home import Home
from ghostwriter.teacher.client import CallFault, Endpoint, Teacher
from tests.distill_case import PRICES, make_writer
from tests.teacher_server import KEY


def main(home: str, answers: str, base_url: str, wanted: str) -> None:
    """Fork one run for each line, say its id, wait for its end, say that."""
    writer = make_writer(answers=int(wanted), budget=PRICES)
    asyncio.run(call_nobody())
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


async def call_nobody() -> None:
    """Import what a call needs."""
    async with Teacher(Endpoint(base_url="http://127.0.0.1:9/v1", key=SecretStr(KEY)), {}, timeout_seconds=1, concurrency=1) as teacher:
        with suppress(CallFault):
            await teacher.ask([])


if __name__ == "__main__":
    main(*sys.argv[1:])
