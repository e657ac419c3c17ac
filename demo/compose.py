"""`docker compose --profile demo up`: one pass through the loop on the running stack, each GPU stage in a container of its own."""

import json
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from demo.__main__ import STEM, connect
from demo.follow import follow
from demo.outcome import show_outcome
from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.embedded.services import Supervisor
from ghostwriter.errors import GhostwriterError
from ghostwriter.writer import load_writer

AIRFLOW, SITE, TEACHER = "http://api-server:8080", "http://site:8900", "http://teacher:8901/v1"
PASSWORDS = Path("/tmp/airflow_passwords.json")


def main() -> int:
    """Follow one pass and show what came out; returns the exit status."""
    console = Console(highlight=False)
    writer = load_writer(STEM)
    api = AirflowApi(AIRFLOW, json.loads(PASSWORDS.read_text())["admin"])
    try:
        connect(api, SITE, TEACHER)
        with TemporaryDirectory() as folder, Supervisor(Path(folder)) as nothing_of_ours:
            loop = follow(console, api, writer, nothing_of_ours)
        show_outcome(console, api, os.environ["MLFLOW_TRACKING_URI"], writer, loop)
    except GhostwriterError as error:
        console.print(f"[red]{error.code}:[/] {error}", markup=True, soft_wrap=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
