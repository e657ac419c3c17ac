"""Processes that promote adapters over champion version 1 when they are told to: HOME STORE RUN ADAPTER [RUN ADAPTER ...].

One for each adapter, forked when everything is imported. Each says `ready`, waits for a line, and says what came of it.
"""

import os
import sys
from pathlib import Path

from mlflow import MlflowClient

from ghostwriter.errors import PromotionError
from ghostwriter.home import Home
from ghostwriter.judging.promote import promote
from ghostwriter.writer import load_writer


def main(home: str, store: str, *adapters: str) -> None:
    """Fork a process for each adapter, and wait for all."""
    import mlflow.store.tracking.sqlalchemy_store  # noqa: F401  # the client imports it when it is first asked

    for run_id, adapter in zip(adapters[::2], adapters[1::2], strict=True):
        if os.fork() == 0:
            say(one(home, store, run_id, adapter))
            os._exit(0)
    for _ in adapters[::2]:
        os.wait()


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())


def one(home: str, store: str, run_id: str, adapter: str) -> str:
    """What came of the promotion."""
    client, writer = MlflowClient(store), load_writer("lamplight")
    client.search_experiments()
    say("ready")
    os.read(0, 1)  # a byte each: both read the same pipe
    try:
        version = promote(client, Home(Path(home)), writer, run_id, Path(adapter), {}, champion="1", who="me", why="better", numbers={})
    except PromotionError:
        return "refused"
    return f"promoted {version}"


if __name__ == "__main__":
    main(*sys.argv[1:])
