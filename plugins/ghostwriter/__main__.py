"""`python -m ghostwriter`: the stages, by hand. Errors a person can act on end with one line on stderr and their own status."""

import argparse
import os
import sys
from importlib import import_module
from pathlib import Path

from ghostwriter.embedded.running import running
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home

COMMANDS = {
    "collect": ("collect", "probe"),
    "contrast": ("contrast",),
    "archive": ("export", "clean", "import"),
    "distill": ("distill",),
    "champion": ("champion", "rollback"),
    "export_model": ("export-model",),
    "serve": ("serve",),
    "chat": ("chat",),
    "notify": ("notify",),
    "upkeep.backup": ("backup", "restore"),
    "upkeep.housekeeping": ("housekeeping",),
    "upkeep.purge": ("purge",),
    "trust": ("trust",),
    "votes": ("votes",),
    "new": ("new",),
    "doctor": ("doctor",),
    "run": ("run",),
    "compare": ("compare",),
    "up": ("up", "down"),
    "upkeep.migrate": ("migrate",),
    "panel": ("panel",),
}
"""Modules of ghostwriter.commands and what each adds; only the one that is needed is imported: all of them take seconds."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m ghostwriter", description="Collect, distil, promote: Ghostwriter's stages by hand.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    wanted = [name for name, added in COMMANDS.items() if arguments and arguments[0] in added]
    for name in wanted or COMMANDS:
        import_module(f"ghostwriter.commands.{name}").add_commands(commands)
    chosen = parser.parse_args(arguments)
    _use_what_runs(getattr(chosen, "home", None) or Home.default().path)
    try:
        return int(chosen.run(chosen))
    except GhostwriterError as error:
        print(f"{error.code}: {error}", file=sys.stderr)
        return error.exit_status


def _use_what_runs(home: Path) -> None:
    """Let commands by hand find the Airflow and the MLflow that `up` runs on this machine; what the environment says comes first."""
    if (airflow := home / "airflow" / "airflow.cfg").exists():
        os.environ.setdefault("AIRFLOW_HOME", str(airflow.parent.resolve()))
    if (found := running(home)) and found.mlflow:
        os.environ.setdefault("MLFLOW_TRACKING_URI", found.mlflow)


if __name__ == "__main__":
    os.umask(0o077)
    sys.exit(main())
