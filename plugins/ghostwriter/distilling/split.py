"""Which side of the split a question falls on: held out, or learned from.

By a salted hash of its id, so that it stays there when the corpus grows; or by a list of the held-out questions
(`evaluation.heldout_questions`), for whoever wants to say which. A small writer holds out a larger share, which falls as the
corpus grows. A question may go from held out to learned from, never back: `learned` are those that earlier datasets trained on.
"""

import logging
import re
from collections.abc import Callable, Sequence, Set
from hashlib import sha256
from pathlib import Path

from ghostwriter.errors import WriterFileError
from ghostwriter.pairs import Pair
from ghostwriter.writer import Writer, beside_writers
from training.contract import FEW_QUESTIONS

log = logging.getLogger(__name__)

SALT = "ghostwriter split 1"
USUAL_SHARE, LARGEST_SHARE = 0.1, 0.25
"""Of the questions, what is held out of 240 and more, and of 96 and fewer."""


def split(writer: Writer, pairs: Sequence[Pair], learned: Callable[[], Set[str]] = frozenset) -> tuple[list[Pair], list[Pair]]:
    """The pairs to learn from and those held out, in their order. Raises WriterFileError when the list cannot be read.

    `learned` gives the ids of questions that were trained on before; it is asked only for a small writer.
    """
    held = _chooser(writer, pairs, learned)
    return [pair for pair in pairs if not held(pair)], [pair for pair in pairs if held(pair)]


def usual_share(questions: int) -> float:
    """The share held out where the writer file names none: of fewer than 240 questions, one that gives FEW_QUESTIONS, up to a quarter."""
    return min(LARGEST_SHARE, max(USUAL_SHARE, FEW_QUESTIONS / max(1, questions)))


def split_name(writer: Writer) -> str:
    """How this writer's questions are divided: the salt, or the list's name."""
    listed = writer.evaluation.heldout_questions
    return f"list {listed}" if listed else SALT


def is_heldout(question_id: str, stem: str, share: float) -> bool:
    """Whether a question is held out: its salted hash, as a number from 0 to 1, lies below `share`."""
    digest = sha256(f"{SALT}\n{stem}\n{question_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < share


def _chooser(writer: Writer, pairs: Sequence[Pair], learned: Callable[[], Set[str]]) -> Callable[[Pair], bool]:
    settings = writer.evaluation
    if settings.heldout_questions is None:
        return _by_hash(writer, len(pairs), learned)
    lines = _read(settings.heldout_questions)
    names = lines | {_id(line) for line in lines}
    chosen = {pair.question_id for pair in pairs if names & {pair.question_id, pair.question}}
    _warn_of_unknown(lines, pairs, settings.heldout_questions)
    return lambda pair: pair.question_id in chosen


def _by_hash(writer: Writer, questions: int, learned: Callable[[], Set[str]]) -> Callable[[Pair], bool]:
    """Always those below the usual share, as it has always been; beyond it, of a small writer, those nobody has trained on."""
    named = writer.evaluation.heldout_share
    always, most = (named, named) if named else (USUAL_SHARE, usual_share(questions))
    taken = learned() if most > always else frozenset[str]()

    def held(pair: Pair) -> bool:
        share = always if pair.question_id in taken else most
        return is_heldout(pair.question_id, writer.stem, share)

    return held


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
