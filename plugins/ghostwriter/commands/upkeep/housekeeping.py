"""`housekeeping`: what the DAG of that name does, by hand."""

import argparse
import logging
from datetime import UTC, datetime
from pathlib import Path

from ghostwriter.commands.options import home_of
from ghostwriter.keeping.tidy import say, tidy
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.writer import load_writer


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
    client = mlflow_client()
    say(
        tidy(load_writer(arguments.writer), home_of(arguments), client, datetime.now(UTC), dry_run=arguments.dry_run),
        dry_run=arguments.dry_run,
    )
    return 0
