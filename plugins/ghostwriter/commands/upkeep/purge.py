"""`purge`: take an answer, or a whole writer, out of everything that is kept here."""

import argparse
import getpass
import re
from pathlib import Path

from ghostwriter.commands.options import home_of
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.purging.purge import Purged, purge
from ghostwriter.writer import STEM


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `purge`."""
    parser = commands.add_parser("purge", help="remove an answer, or everything of a writer, for good")
    parser.add_argument("writer", metavar="WRITER", type=_stem, help="a file in writers/, without .toml; it may be gone already")
    parser.add_argument("--answer", metavar="ID", help="one answer (`export answers` lists the ids); without it, the whole writer")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--without-mlflow", action="store_true", help="leave MLflow alone: it is no longer there")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask, purge, and say what remains where."""
    stem = arguments.writer
    what = f"answer {arguments.answer} of {stem}" if arguments.answer else f"everything of {stem}"
    client = None if arguments.without_mlflow else mlflow_client()
    if not arguments.yes and input(f"Remove {what}, for good? Type {stem} to go on: ") != stem:
        print("Nothing was removed.")
        return 1
    print(_told(what, purge(stem, home_of(arguments), client, arguments.answer, getpass.getuser())))
    return 0


def _stem(text: str) -> str:
    """A name that may stand in a path."""
    if not re.fullmatch(STEM, text):
        raise argparse.ArgumentTypeError(f"{text!r} is no writer's name")
    return text


def _told(what: str, done: Purged) -> str:
    lines = [f"Removed {what}:"]
    lines += [f"  {number:>7} {kind.replace('_', ' ')}" for kind, number in done.counts.items()]
    return "\n".join([*lines, "What remains:", *(f"  - {place}" for place in done.remains)])
