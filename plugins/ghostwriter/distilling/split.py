"""Which side of the split a question falls on: held out, or learned from.

By a salted hash of its id, so that it stays there when the corpus grows; or by a list of the held-out questions
(`evaluation.heldout_questions`), for whoever wants to say which.
"""

import logging
import re
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

from ghostwriter.errors import WriterFileError
from ghostwriter.pairs import Pair
from ghostwriter.writer import Writer, beside_writers

log = logging.getLogger(__name__)

SALT = "ghostwriter split 1"


def split(writer: Writer, pairs: Sequence[Pair]) -> tuple[list[Pair], list[Pair]]:
    """The pairs to learn from and those held out, in their order. Raises WriterFileError when the list cannot be read."""
    held = _chooser(writer, pairs)
    return [pair for pair in pairs if not held(pair)], [pair for pair in pairs if held(pair)]


def split_name(writer: Writer) -> str:
    """How this writer's questions are divided: the salt, or the list's name."""
    listed = writer.evaluation.heldout_questions
    return f"list {listed}" if listed else SALT


def is_heldout(question_id: str, stem: str, share: float) -> bool:
    """Whether a question is held out: its salted hash, as a number from 0 to 1, lies below `share`."""
    digest = sha256(f"{SALT}\n{stem}\n{question_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def _chooser(writer: Writer, pairs: Sequence[Pair]) -> Callable[[Pair], bool]:
    settings = writer.evaluation
    if settings.heldout_questions is None:
        return lambda pair: is_heldout(pair.question_id, writer.stem, settings.heldout_share)
    lines = _read(settings.heldout_questions)
    names = lines | {_id(line) for line in lines}
    chosen = {pair.question_id for pair in pairs if names & {pair.question_id, pair.question}}
    _warn_of_unknown(lines, pairs, settings.heldout_questions)
    return lambda pair: pair.question_id in chosen


def _warn_of_unknown(lines: set[str], pairs: Sequence[Pair], path: Path) -> None:
    known = {name for pair in pairs for name in (pair.question_id, pair.question)}
    unknown = sorted(line for line in lines if not known & {line, _id(line)})
    if unknown:
        log.warning(
            "%d of the %d questions in %s are not among the answers, like: %s",
            len(unknown),
            len(lines),
            path,
            unknown[0],
        )


def _id(line: str) -> str:
    """What stands before two spaces or a tab: an id, with a remark behind it."""
    return re.split(r"\t|  ", line, maxsplit=1)[0]


def _read(named: Path) -> set[str]:
    """The lines of the list, without comments."""
    path = beside_writers(named)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise WriterFileError(
            f"evaluation.heldout_questions = {str(path)!r} cannot be read ({error}). "
            "It is a UTF-8 text file with one held-out question a line: its id, or its text."
        ) from error
    lines = [line.strip() for line in text.splitlines()]
    return {line for line in lines if line and not line.startswith("#")}
