"""`housekeeping`: what the DAG of that name does, by hand."""

import argparse
import logging
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ghostwriter.commands.options import home_of
from ghostwriter.commands.services import own_airflow
from ghostwriter.home import Home
from ghostwriter.keeping.batch_files import remove_batch_files
from ghostwriter.keeping.tidy import say, tidy
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.teacher.client import Endpoint
from ghostwriter.writer import Writer, load_writer


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `housekeeping`."""
    parser = commands.add_parser("housekeeping", help="remove what no champion, no newest candidate and nothing at work needs")
    parser.add_argument("writer", metavar="WRITER", help="a file in writers/, without .toml")
    parser.add_argument("--dry-run", action="store_true", help="only say what would go")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Tidy one writer's nights, a line for each thing that goes."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    client, writer, home, now = mlflow_client(), load_writer(arguments.writer), home_of(arguments), datetime.now(UTC)
    say(tidy(writer, home, client, now, dry_run=arguments.dry_run), dry_run=arguments.dry_run)
    remove_batch_files(writer, home, partial(_teacher, writer, home), now, dry_run=arguments.dry_run)
    return 0


def _teacher(writer: Writer, home: Home) -> Endpoint:
    """From the connection in Airflow, which is read only where a batch has left files."""
    from ghostwriter.tasks.connections import teacher_endpoint

    own_airflow(home)
    return teacher_endpoint(writer.teacher.connection)
