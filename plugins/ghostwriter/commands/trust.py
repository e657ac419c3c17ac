"""`trust`: confirm that a connection's secret may go to another host than until now."""

import argparse
from pathlib import Path

from ghostwriter.commands.options import home_of
from ghostwriter.tasks.trusted_hosts import trust


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `trust`."""
    parser = commands.add_parser("trust", help="confirm that a connection's cookie or key may be sent to another host")
    parser.add_argument("connection", metavar="CONNECTION", help="an Airflow connection")
    parser.add_argument("address", metavar="ADDRESS", help="where it leads now, like https://api.example.com")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Bind the connection to the address, and say so."""
    print(f"The secret of {arguments.connection} may be sent to {trust(arguments.connection, arguments.address, home_of(arguments))}.")
    return 0
