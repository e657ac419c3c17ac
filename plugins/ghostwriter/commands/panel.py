"""`panel`: a page for people who know the writer, and what their files say."""

import argparse
from pathlib import Path

from ghostwriter.commands.options import home_of
from ghostwriter.errors import PanelError, TrackingError
from ghostwriter.mlflow_runs.registry import MlflowSilent, Registry
from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri
from ghostwriter.panel import sources
from ghostwriter.panel.build import build_panel, default_arms
from ghostwriter.panel.key import Key
from ghostwriter.panel.read import read_panel
from ghostwriter.panel.record import evaluations_of, record
from ghostwriter.panel.summary import summary_markdown
from ghostwriter.writer import load_writer

TRIALS = 30
SECONDS = 60.0
"""For what is asked of MLflow."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `panel`."""
    words = "a page on which people who know the writer compare answers without knowing whose they are"
    parser = commands.add_parser("panel", help=words, description=f"Write {words}; with --read, say what they found.")
    parser.add_argument("writer", metavar="WRITER", help="a file in writers/, without .toml")
    parser.add_argument("--read", nargs="+", type=Path, metavar="FILE", help="files that readers saved: all of one panel")
    parser.add_argument(
        "--versions", nargs="+", type=int, metavar="N", help="versions of the model (default: the newest evaluation's arms)"
    )
    parser.add_argument("--arms", nargs="+", metavar="ARM", help="only these arms")
    parser.add_argument("--trials", type=int, default=TRIALS, metavar="N", help=f"rounds for a reader (default: {TRIALS}, 20 minutes)")
    parser.add_argument("--seed", type=int, default=0, help="of questions, sides and order")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Write a page, or read files."""
    return _read(arguments) if arguments.read else _write(arguments)


def _write(arguments: argparse.Namespace) -> int:
    writer, home = load_writer(arguments.writer), home_of(arguments)
    home.check_space()
    registry = Registry(tracking_uri(), SECONDS)
    stem, numbers = writer.stem, arguments.versions
    found = sources.of_versions(registry, stem, numbers) if numbers else sources.newest_evaluation(registry, stem)
    material = sources.choose(found, arguments.arms or default_arms(found.arms))
    known = sources.known_by_the_writer(home, stem, material)
    page, drawn = build_panel(home, writer, material, known, arguments.trials, arguments.seed)
    short = arguments.trials - len(drawn.trials)
    print(f"{page}: {len(drawn.trials)} rounds on {', '.join(material.arms)}.")
    if short > 0:
        print(f"{short} rounds fewer than asked for: {len(material.rows)} held-out questions do not give more.")
    print("Send that one file to three to ten people who know the writer. They open it in a browser and send back what it saves; then:")
    print(f"python -m ghostwriter panel {stem} --read FILE ...")
    return 0


def _read(arguments: argparse.Namespace) -> int:
    if given := [name for name in ("versions", "arms") if getattr(arguments, name)]:
        raise PanelError(f"--read reads files, and takes no --{given[0]}: what they compare was settled when the page was written.")
    writer, home = load_writer(arguments.writer), home_of(arguments)
    key, result = read_panel(home, writer.stem, arguments.read)
    print(summary_markdown(result, names=True))
    folder = home.panels(writer.stem) / key.panel
    runs = _evaluations_there(key, folder)
    record(mlflow_client(), key, result, runs)
    print(f"Kept in {folder}, and in MLflow with the evaluation {', '.join(runs)}.")
    return 0


def _evaluations_there(key: Key, folder: Path) -> list[str]:
    """Those that MLflow still has. Raises TrackingError when it has none, or does not answer."""
    try:
        registry = Registry(tracking_uri(), SECONDS)
        there = [run_id for run_id in evaluations_of(key) if registry.run(run_id)]
    except MlflowSilent as silent:
        raise TrackingError(f"{silent} The figures are kept in {folder}; run this again once it does.") from None
    if not there:
        raise TrackingError(f"MLflow no longer has the evaluation that these answers come from. The figures are kept in {folder}.")
    return there
