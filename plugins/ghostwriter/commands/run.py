"""`run`: a whole night by hand, or some of its stages, without Airflow."""

import argparse
import logging
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ghostwriter.commands.services import services
from ghostwriter.errors import GhostwriterError, WriterFileError
from ghostwriter.home import Home
from ghostwriter.writer import load_writer

STAGES = ("collect", "snapshot", "distil", "train", "evaluate", "judge", "promote")
INTERRUPTED = 130
LINE_SECONDS = 20.0
DETAIL_CHARACTERS = 110


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `run`."""
    words = "a whole night by hand: collect, snapshot, distil, train, evaluate, judge, promote"
    parser = commands.add_parser("run", help=words, description=f"Run {words}. Each stage goes on from the newest of what is there.")
    parser.add_argument("writer", metavar="WRITER", help="stem of a file in writers/")
    parser.add_argument("stages", metavar="STAGE", nargs="*", help=f"only these: {', '.join(STAGES)}")
    parser.add_argument("--approve", action="store_true", help="approve the promotion, where the writer file asks for a person's word")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the stages in the night's order; 0 when all ended well, also where nothing was promoted."""
    home = Home(arguments.home.resolve()) if arguments.home else Home.default()
    writer = load_writer(arguments.writer)
    home.check_space()
    if unknown := [stage for stage in arguments.stages if stage not in STAGES]:
        raise WriterFileError(f"There is no stage {unknown[0]!r}. The stages are {', '.join(STAGES)}.")
    chosen = [stage for stage in STAGES if not arguments.stages or stage in arguments.stages]
    with services(home), Display(chosen) as display:
        from ghostwriter.commands.night import Night  # which imports Airflow: after its settings are said, and it takes seconds

        night = Night(writer, home, display.detail, arguments.approve)
        try:
            for stage in chosen:
                display.start(stage)
                display.end(night.run(stage))
        except KeyboardInterrupt:
            display.fail("stopped. What was done is kept: the same command goes on from there.")
            return INTERRUPTED
        except GhostwriterError as error:
            display.fail(f"{error.code}: {error}")
            return error.exit_status
    return 0


class Display:
    """One line a stage: live on a terminal; elsewhere a line when a stage begins and ends, and one now and then."""

    def __init__(self, stages: list[str]) -> None:
        console = Console(stderr=True, highlight=False)
        self._rows: dict[str, tuple[str, str]] = dict.fromkeys(stages, ("waiting", ""))
        self._console, self._live = console, Live(console=console, refresh_per_second=2) if console.is_terminal else None
        self._stage, self._began, self._said = "", 0.0, 0.0

    def __enter__(self) -> "Display":
        for name in ("ghostwriter", "training"):  # the display says it
            logging.getLogger(name).setLevel(logging.WARNING)
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._live:
            self._live.stop()

    def start(self, stage: str) -> None:
        """A stage begins."""
        self._stage, self._began = stage, time.monotonic()
        self._show("running", "")

    def detail(self, words: str) -> None:
        """How far the stage is."""
        if self._live or time.monotonic() - self._said > LINE_SECONDS:
            self._show("running", words.strip()[:DETAIL_CHARACTERS])

    def end(self, words: str) -> None:
        """The stage ended well."""
        self._show("done", words)

    def fail(self, words: str) -> None:
        """The stage did not end well."""
        self._show("failed", words)

    def _show(self, state: str, words: str) -> None:
        self._said = time.monotonic()
        seconds = f"{self._said - self._began:.0f} s"
        self._rows[self._stage] = (f"{state}  {seconds}", words)
        if not self._live:
            self._console.print(f"{self._stage:<9} {state:<8} {seconds:>7}  {words}".rstrip(), soft_wrap=True)
            return
        table = Table(box=None, pad_edge=False, show_header=False)
        for stage, (now, detail) in self._rows.items():
            table.add_row(stage, now, Text(detail))
        self._live.update(table)
