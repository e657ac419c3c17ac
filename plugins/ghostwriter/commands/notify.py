"""`notify`: a message to whom a writer file names under [notify], by hand; the serving gateway sends its own this way."""

import argparse
import sys
from pathlib import Path

from ghostwriter.commands.options import home_of
from ghostwriter.commands.services import own_airflow
from ghostwriter.tasks.notify import tell
from ghostwriter.writer import load_writer


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `notify`."""
    parser = commands.add_parser("notify", help="send what stands on standard input to whom a writer file names under [notify]")
    parser.add_argument("writer", metavar="WRITER", help="a file in writers/, without .toml")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """The first line is what happened, the rest what to do about it."""
    writer = load_writer(arguments.writer)
    what, _, words = sys.stdin.read().strip().partition("\n")
    if not writer.notify:
        print(f"The writer file of {writer.stem} has no table [notify]: nobody is told.")
        return 0
    own_airflow(home_of(arguments))
    print(f"Sent to {tell(writer, what, words)} places.")
    return 0
