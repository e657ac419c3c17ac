"""`rollback` and `champion`: the registry's aliases, by hand."""

import argparse
import getpass
from typing import TYPE_CHECKING

from ghostwriter.promote import CHAMPION, PREVIOUS, alias_version, model_name, roll_back
from ghostwriter.stages import tracking_uri
from ghostwriter.writer import load_writer

if TYPE_CHECKING:
    from mlflow import MlflowClient


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `champion` and `rollback`."""
    show = commands.add_parser("champion", help="which adapter is a writer's champion, and the one before it")
    show.add_argument("writer", help="a file in writers/, without .toml")
    show.set_defaults(run=show_champion)
    back = commands.add_parser("rollback", help="make the previous champion the champion again")
    back.add_argument("writer", help="a file in writers/, without .toml")
    back.add_argument("--why", default="rolled back by hand", help="kept with the move")
    back.set_defaults(run=run_rollback)


def show_champion(arguments: argparse.Namespace) -> int:
    """Print both aliases with their versions."""
    writer, client = load_writer(arguments.writer), _client()
    for alias in (CHAMPION, PREVIOUS):
        version = alias_version(client, writer.stem, alias)
        described = f"version {version.version}  {version.tags.get('why', '')}" if version else "none"
        print(f"{model_name(writer.stem)}@{alias}: {described}")
    return 0


def run_rollback(arguments: argparse.Namespace) -> int:
    """Swap the aliases."""
    writer = load_writer(arguments.writer)
    version = roll_back(_client(), writer.stem, who=getpass.getuser(), why=arguments.why)
    print(f"Version {version} is the champion of {writer.name} again.")
    return 0


def _client() -> "MlflowClient":
    from mlflow import MlflowClient

    return MlflowClient(tracking_uri())
