"""A process that promotes an adapter over champion version 1 when it is told to: HOME STORE RUN ADAPTER."""

import sys
from pathlib import Path

from mlflow import MlflowClient

from ghostwriter.errors import PromotionError
from ghostwriter.home import Home
from ghostwriter.judging.promote import promote
from ghostwriter.writer import load_writer


def main(home: str, store: str, run_id: str, adapter: str) -> str:
    """Say `ready`, wait for a line, promote; returns what came of it."""
    client, writer = MlflowClient(store), load_writer("lamplight")
    client.search_experiments()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    try:
        version = promote(client, Home(Path(home)), writer, run_id, Path(adapter), {}, champion="1", who="me", why="better", numbers={})
    except PromotionError:
        return "refused"
    return f"promoted {version}"


if __name__ == "__main__":
    sys.stdout.write(main(*sys.argv[1:]) + "\n")
