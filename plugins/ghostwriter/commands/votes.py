"""`votes`: what people preferred on the chat page, as a sum or as a file to train on."""

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import Engine

from ghostwriter.commands.options import home_of
from ghostwriter.database import open_database
from ghostwriter.distilling.corpus import heldout_pairs
from ghostwriter.errors import GhostwriterError, SnapshotError
from ghostwriter.files import write_durably
from ghostwriter.home import Home
from ghostwriter.lock import only_one
from ghostwriter.mlflow_runs.server import mlflow_client
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import newest
from ghostwriter.votes.comparison import CHOICES
from ghostwriter.votes.export import FORMATS, export_votes
from ghostwriter.votes.records import all_chats, all_votes, forget_old, messages_of
from ghostwriter.writer import Writer, load_writer

CHATS = "chats"
TRACING_SECONDS = 120.0
"""For another process that does the same: its votes need no second trace."""
REASONS = {
    "near_heldout": "on a held-out question, or near one",
    "no_preference": "without a preference (--format kto takes them)",
    "same_answer": "between two answers that are the same",
    "empty_answer": "with an empty answer",
}


class FormatUnknown(GhostwriterError):
    """There is no such format."""

    code = "format"


class FileUnusable(GhostwriterError):
    """The file to be written cannot be."""

    code = "file"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `votes`."""
    parser = commands.add_parser("votes", help="votes of the chat page: how many, or as a file to train on")
    parser.add_argument("writer", metavar="WRITER", help="a file in writers/, without .toml")
    parser.add_argument(
        "--format",
        nargs=2,
        metavar=("FORMAT", "FILE"),
        help="write JSONL instead of counting; FORMAT is preference (TRL's prompt, chosen, rejected), kto (its prompt, "
        "completion, label) or chats (kept chats as messages)",
    )
    parser.add_argument("--trace", action="store_true", help="show in MLflow the votes it lacks, as feedback on their answers")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Print how many votes there are, or write them."""
    writer, home = load_writer(arguments.writer), home_of(arguments)
    engine = open_database(home.database_url)
    try:
        forget_old(engine, writer.stem, writer.chat.keep_days)
        if arguments.trace:
            print(_traced(engine, writer))
        elif arguments.format:
            print(_written(engine, writer, home, *arguments.format))
        else:
            print(_counted(engine, writer))
    finally:
        engine.dispose()
    return 0


def _traced(engine: Engine, writer: Writer) -> str:
    from ghostwriter.mlflow_runs.vote_traces import trace_votes

    with only_one(engine, f"{writer.stem}-votes", "showing votes in MLflow", patience=TRACING_SECONDS):
        return f"{trace_votes(mlflow_client(), engine, writer.stem)} votes of {writer.name} now stand in MLflow."


def _written(engine: Engine, writer: Writer, home: Home, form: str, file: str) -> str:
    """Write the file; returns what stands in it and what does not, in words."""
    if form == CHATS:
        return _write_chats(engine, writer, Path(file))
    if form not in FORMATS:
        raise FormatUnknown(f"There is no format {form!r}. There are: {', '.join((*FORMATS, CHATS))}.")
    exported = export_votes(all_votes(engine, writer.stem), _heldout(writer, home), form)
    _write(Path(file), exported.rows)
    left_out = [f"Left out: {number} votes {REASONS[reason]}." for reason, number in exported.dropped.items()]
    return "\n".join([f"{len(exported.rows)} rows of {exported.votes} votes in {file}.", *left_out])


def _counted(engine: Engine, writer: Writer) -> str:
    votes = all_votes(engine, writer.stem)
    pairs = Counter(tuple(sorted((vote.version_a, vote.version_b))) for vote in votes)
    choices = Counter(vote.choice for vote in votes)
    lines = [f"{len(votes)} votes for {writer.name}: " + ", ".join(f"{choices[choice]} {choice}" for choice in CHOICES)]
    return "\n".join([*lines, *(f"  {number:>6}  {one} and {other}" for (one, other), number in pairs.most_common())])


def _write_chats(engine: Engine, writer: Writer, path: Path) -> str:
    chats = all_chats(engine, writer.stem)
    answered = ([*messages_of(chat), {"role": "assistant", "content": chat.text}] for chat in chats)
    _write(path, ({"messages": messages} for messages in answered))
    switched_on = "" if writer.chat.keep else f" Chats are kept once {writer.stem}.toml says [chat] keep = true."
    return f"{len(chats)} answers of chats in {path}.{switched_on}"


def _heldout(writer: Writer, home: Home) -> list[Pair]:
    """What no vote may be trained on."""
    answers = newest(home.answers(writer.stem))
    if answers is None:
        raise SnapshotError(
            f"There is no snapshot of {writer.name}'s answers, so nobody knows which questions are held out, and no vote was "
            f"written. Collect first: python -m ghostwriter run {writer.stem} collect snapshot"
        )
    return heldout_pairs(writer, answers)


def _write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    try:
        write_durably(path, content.encode())
    except OSError as error:
        raise FileUnusable(f"{path} cannot be written ({error.strerror}). Name another file.") from error
