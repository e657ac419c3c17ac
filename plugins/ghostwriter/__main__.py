"""`python -m ghostwriter`: the stages, by hand. Errors a person can act on end with one line on stderr and status 1."""

import argparse
import sys
from importlib import import_module

from ghostwriter.errors import GhostwriterError

COMMAND_MODULES = ("collect", "archive", "distill", "champion", "up")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m ghostwriter", description="Collect, distil, promote: Ghostwriter's stages by hand.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMAND_MODULES:
        import_module(f"ghostwriter.commands.{name}").add_commands(commands)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except GhostwriterError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
