"""`collect` and `probe`: read a writer's answers into the archive; look at one page without keeping anything."""

import argparse
import json
import logging
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from ghostwriter.collecting.collect import CollectReport, Tally, collect
from ghostwriter.collecting.probe import probe
from ghostwriter.collecting.sources.errors import SourceFileUnusable
from ghostwriter.commands.options import home_of
from ghostwriter.commands.services import own_airflow
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home
from ghostwriter.writer import Writer, load_writer

INTERRUPTED = 130
FIGURES = {"saved": 0, "known": 0, "site_total": None, "requests": 0}
"""What `--json` prints of a report beside `error`, and what stands there when there is no report."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `collect` and `probe`."""
    parser = commands.add_parser("collect", help="read a writer's new answers into the archive")
    add_site_options(parser)
    add_pace(parser)
    parser.add_argument("--full", action="store_true", help="read everything again, to notice edits and deletions")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.set_defaults(run=run_collect)
    parser = commands.add_parser("probe", help="make one request and show status, code, key names and item count (no text, no cookie)")
    add_site_options(parser)
    parser.set_defaults(run=run_probe)


def run_collect(arguments: argparse.Namespace) -> int:
    """Collect, with progress on a terminal; returns the failure's own exit status, 0 without one."""
    try:
        with log_to_stderr():
            report = _collect(arguments)
    except GhostwriterError as error:
        _say(arguments, getattr(error, "report", None), error)
        return error.exit_status
    except KeyboardInterrupt:
        print("Stopped. Every page read so far is kept; the same command goes on from there.", file=sys.stderr)
        return INTERRUPTED
    _say(arguments, report, None)
    return 0


def run_probe(arguments: argparse.Namespace) -> int:
    """Print what one page looks like, as JSON; 0 when it is a good page."""
    writer = load_writer(arguments.writer)
    seen = probe(writer, **_access(writer, home_of(arguments), arguments))
    print(json.dumps(seen, ensure_ascii=False, indent=2))
    return 0 if seen["class"] is None else 1


def read_cookie_file(path: Path | None) -> str | None:
    """The pasted cookie; a warning when others on this machine can read the file. Raises SourceFileUnusable."""
    if path is None:
        return None
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            print(f"Warning: other users of this machine can read {path}; protect it with: chmod 600 {path}", file=sys.stderr)
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise SourceFileUnusable(
            f"The cookie file {path} cannot be read ({error.strerror}). Name the file you pasted the Cookie header into."
        ) from None


def add_site_options(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes that asks a site."""
    parser.add_argument("writer", metavar="WRITER", help="stem of a file in writers/")
    parser.add_argument("--site", metavar="URL", help="another address of the site, for tests")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.add_argument(
        "--cookie-file",
        type=Path,
        metavar="FILE",
        help="the cookie as you copied it; a line `User-Agent: ...` beside it (without one, that of a Chrome is sent); "
        "without a file the writer's connection is used",
    )


def add_pace(parser: argparse.ArgumentParser) -> None:
    """Add the pause between two requests."""
    parser.add_argument("--pace", type=_seconds, metavar="SECONDS", help="mean pause between pages; 0: no pauses and no back-off waits")


@contextmanager
def log_to_stderr() -> Iterator[None]:
    """Show this program's log lines; on a terminal, where the progress bar says the rest, its warnings only."""
    logger, handler = logging.getLogger("ghostwriter"), logging.StreamHandler()
    handler.setLevel(logging.WARNING if sys.stderr.isatty() else logging.INFO)
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Airflow, once imported for a connection, would write each line again to stdout
    try:
        yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)
        logger.setLevel(before)


def _collect(arguments: argparse.Namespace) -> CollectReport:
    writer, home = load_writer(arguments.writer), home_of(arguments)
    home.check_space()
    options: dict[str, Any] = {**_access(writer, home, arguments), "pace": arguments.pace, "full": arguments.full}
    console = Console(stderr=True)
    if not console.is_terminal:
        return collect(writer, home, **options)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[counts]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(writer.name, total=None, counts="asking for the first page")

        def show(tally: Tally) -> None:
            counts = f"{tally.seen} of {tally.site_total or '?'} read, {tally.new} new, {tally.changed} changed"
            bar.update(task, total=tally.site_total, completed=tally.seen, counts=counts)

        return collect(writer, home, progress=show, **options)


def _access(writer: Writer, home: Home, arguments: argparse.Namespace) -> dict[str, str | None]:
    """Cookie, User-Agent and site: of the file that is named, else of the writer's connection, whose secret goes to no other `--site`."""
    if arguments.cookie_file or arguments.site or not writer.source.connection:
        return {"cookie": read_cookie_file(arguments.cookie_file), "user_agent": None, "site": arguments.site}
    from ghostwriter.tasks.connections import site_access  # a second to import

    own_airflow(home)
    return site_access(writer.source)


def _say(arguments: argparse.Namespace, report: CollectReport | None, error: GhostwriterError | None) -> None:
    if error:
        print(f"{error.code}: {error}", file=sys.stderr)
    if not arguments.json:
        if report and not error:
            print(report.statement)
        return
    figures = {name: getattr(report, name, empty) for name, empty in FIGURES.items()}
    print(json.dumps({**figures, "error": {"class": error.code, "message": str(error)} if error else None}, ensure_ascii=True), flush=True)


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < 86_400:
        raise argparse.ArgumentTypeError(f"{text} is no pause: seconds from 0 up")
    return value
