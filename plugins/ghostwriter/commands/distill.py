"""`distill`: a snapshot of answers becomes a dataset, with the teacher's help; `--dry-run` shows plan and cost and asks nothing."""

import argparse
import json
import logging
import sys
import time
from pathlib import Path

from pydantic import SecretStr
from rich.console import Console
from rich.live import Live
from rich.logging import RichHandler
from rich.text import Text
from sqlalchemy.orm import Session

from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.archive import counts
from ghostwriter.commands.services import own_airflow
from ghostwriter.database import open_database
from ghostwriter.distilling.batch import apply_batch, batch_status, forget_batch, open_batch
from ghostwriter.distilling.distill import Endpoint, distill, estimate
from ghostwriter.errors import ConnectionMissing, SnapshotError
from ghostwriter.home import Home
from ghostwriter.modes import MODES, Mode
from ghostwriter.snapshot import newest, read_manifest, set_current
from ghostwriter.teacher.progress import LogLines, Progress
from ghostwriter.writer import Writer, load_writer

LINE_SECONDS = 5.0
POLL_SECONDS = 60.0
INTERRUPTED = 130


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `distill`."""
    parser = commands.add_parser("distill", help="have the teacher answer in the writer's style, and build the dataset")
    parser.add_argument("writer", metavar="WRITER", help="a file in writers/, without .toml")
    parser.add_argument("--home", type=Path, help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.add_argument("--answers", type=Path, metavar="FOLDER", help="snapshot of answers (default: what the archive holds now)")
    parser.add_argument(
        "--base-url", metavar="URL", help="the teacher's address, like https://api.example.com/v1 (default: the Airflow connection's)"
    )
    parser.add_argument("--key-file", type=Path, metavar="FILE", help="file that holds the teacher's key and nothing else")
    parser.add_argument("--mode", choices=MODES, help="default: what the writer's arm trains on")
    parser.add_argument("--model", help="another model than the writer file's")
    parser.add_argument("--wanted", type=int, metavar="N", help="another number of answers than teacher.answers")
    parser.add_argument(
        "--batch", action="store_true", help="buy through the vendor's Batch API: cheaper, within a day; Ctrl-C and run again at will"
    )
    parser.add_argument(
        "--poll", type=float, default=POLL_SECONDS, metavar="SECONDS", help="time between two looks at a batch (default: %(default)s)"
    )
    parser.add_argument("--forget-batch", action="store_true", help="only give up an open batch: its requests count as perhaps paid")
    parser.add_argument("--buy-again", action="store_true", help="also when more than a fifth of what the ledger holds is bought again")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and what it would cost; ask nothing, spend nothing")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Plan, or distil; print the result."""
    home = Home(arguments.home.resolve()) if arguments.home else Home.default()
    writer = _chosen(load_writer(arguments.writer), arguments)
    if arguments.forget_batch:
        forgotten = forget_batch(writer, home)
        print(f"Batch {forgotten} is given up; nothing was asked." if forgotten else "No batch is open.")
        return 0
    mode = arguments.mode or writer.mode
    answers = arguments.answers or _answers(writer, home)
    if arguments.dry_run:
        plan = estimate(writer, home, answers, mode=mode)
        print(plan.model_dump_json() if arguments.json else plan)
        return 0
    endpoint = None if mode == "direct" else _endpoint(writer.asking(mode), home, arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    try:
        if endpoint and mode != "self-instruct" and (arguments.batch or writer.teacher.batch):
            _wait_for_batches(writer, home, answers, endpoint, mode, arguments.poll, buy_again=arguments.buy_again)
        folder = _watched(writer, home, answers, endpoint, mode, buy_again=arguments.buy_again)
        if (mode, arguments.wanted, arguments.model, arguments.answers) == (writer.mode, None, None, None):
            set_current(folder)  # as the writer file asks: the nights go on from it
    except KeyboardInterrupt:
        print("Interrupted. What was bought is kept: run the same command again to go on.", file=sys.stderr)
        return INTERRUPTED
    print(json.dumps(_facts(folder), ensure_ascii=False) if arguments.json else _summary(folder))
    return 0


def _watched(writer: Writer, home: Home, answers: Path, endpoint: Endpoint | None, mode: Mode, *, buy_again: bool) -> Path:
    """Distil with a live line on a terminal, and a line every few seconds elsewhere."""
    console = Console(stderr=True)
    if not console.is_terminal:
        return distill(writer, home, answers, endpoint, mode=mode, progress=LogLines(LINE_SECONDS), buy_again=buy_again)
    logging.getLogger("ghostwriter").handlers = [RichHandler(console=console, show_path=False, show_time=False, show_level=False)]
    logging.getLogger("ghostwriter").propagate = False
    with Live(console=console, transient=True) as live:

        def show(progress: Progress) -> None:
            live.update(Text(str(progress)))

        return distill(writer, home, answers, endpoint, mode=mode, progress=show, buy_again=buy_again)


def _wait_for_batches(
    writer: Writer, home: Home, answers: Path, endpoint: Endpoint, mode: Mode, poll_seconds: float, *, buy_again: bool
) -> None:
    while batch := open_batch(writer, home, answers, endpoint, mode, buy_again=buy_again):
        while batch_status(endpoint, batch) == "open":
            time.sleep(poll_seconds)
        apply_batch(writer, home, endpoint, batch)


def _answers(writer: Writer, home: Home) -> Path:
    """A snapshot of what the archive holds now; the newest one there is, where the archive has nothing of the writer."""
    engine = open_database(home.database_url)
    with Session(engine) as session:
        archived, _ = counts(session, writer.stem)
    engine.dispose()
    return snapshot_answers(writer, home) if archived else _newest_answers(home.answers(writer.stem))


def _newest_answers(folder: Path) -> Path:
    """The snapshot to distil. Raises SnapshotError when there is none."""
    found = newest(folder)
    if found is None:
        raise SnapshotError(f"There are no answers in {folder}. Collect first, or name a snapshot with --answers.")
    return found


def _chosen(writer: Writer, arguments: argparse.Namespace) -> Writer:
    teacher, student = writer.teacher, writer.student
    if arguments.wanted is not None:
        teacher = teacher.model_copy(update={"answers": arguments.wanted})
    if arguments.model is not None:
        teacher = teacher.model_copy(update={"model": arguments.model})
        student = student and student.model_copy(update={"model": arguments.model})
    return writer.model_copy(update={"teacher": teacher, "student": student})


def _endpoint(writer: Writer, home: Home, arguments: argparse.Namespace) -> Endpoint:
    if not arguments.base_url:
        from ghostwriter.tasks.connections import teacher_endpoint

        own_airflow(home)
        return teacher_endpoint(writer.teacher.connection)
    try:
        key = arguments.key_file.read_text(encoding="utf-8").strip() if arguments.key_file else "none"
    except OSError as error:
        raise ConnectionMissing(f"--key-file {arguments.key_file} cannot be read: {error.strerror}.") from None
    return Endpoint(base_url=arguments.base_url, key=SecretStr(key))


def _facts(folder: Path) -> dict[str, object]:
    manifest = read_manifest(folder)
    return {
        "folder": str(folder),
        "rows": {name: entry.rows for name, entry in manifest.files.items()},
        "dropped": manifest.dropped,
        **manifest.facts,
    }


def _summary(folder: Path) -> str:
    manifest = read_manifest(folder)
    lines = [f"Dataset {folder}"]
    lines += [f"  {name:<16} {entry.rows:>7} rows" for name, entry in manifest.files.items()]
    lines += [f"  left out         {number:>7} {reason}" for reason, number in sorted(manifest.dropped.items())]
    for name, figures in manifest.facts.get("diversity", {}).items():
        lines.append(f"  {name:<16} " + ", ".join(f"{figure} {value:g}" for figure, value in figures.items()))
    if cost := manifest.facts.get("cost"):
        lines.append(
            f"  cost             {cost['run']} in this run, {cost['run_perhaps_paid']} of it perhaps paid; the answers {cost['answers']}"
        )
    return "\n".join(lines)
