"""`rollback` and `champion`: the registry's aliases, by hand."""

import argparse
import getpass

from ghostwriter.home import Home
from ghostwriter.judging.moves import BY_HAND, CHAMPION, PREVIOUS, history
from ghostwriter.judging.promote import alias_version, model_name, roll_back
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.writer import load_writer

SHOWN = 10


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `champion` and `rollback`."""
    show = commands.add_parser("champion", help="which adapter is a writer's champion, the one before it, and the last moves")
    show.add_argument("writer", help="a file in writers/, without .toml")
    show.set_defaults(run=show_champion)
    back = commands.add_parser("rollback", help="make the previous champion the champion again")
    back.add_argument("writer", help="a file in writers/, without .toml")
    back.add_argument("--to", metavar="VERSION", help="another version of the registered model than the previous champion")
    back.add_argument("--why", default="rolled back by hand", help="kept with the move")
    back.set_defaults(run=run_rollback)


def show_champion(arguments: argparse.Namespace) -> int:
    """Print both aliases with their versions, and the last moves, the newest last."""
    writer, client = load_writer(arguments.writer), mlflow_client()
    name = model_name(writer.stem)
    for alias in (CHAMPION, PREVIOUS):
        version = alias_version(client, writer.stem, alias)
        described = f"version {version.version}  {version.tags.get('why', '')}" if version else "none"
        print(f"{name}@{alias}: {described}")
    for move in history(client, name)[-SHOWN:]:
        print(f"{move.when[:19]}  {move.old or 'none'} -> {move.new or 'none'}  {_by(move.who)}: {move.why}")
    return 0


def _by(who: str) -> str:
    return who if who == BY_HAND else f"by {who}"


def run_rollback(arguments: argparse.Namespace) -> int:
    """Move the aliases back."""
    writer = load_writer(arguments.writer)
    version = roll_back(mlflow_client(), Home.default(), writer.stem, who=getpass.getuser(), why=arguments.why, version=arguments.to)
    print(f"Version {version} is the champion of {writer.name} again.")
    return 0
