"""What style is measured against: other people's answers, and plain rewrites ("twins") of the writer's, each in a file of the dataset.

No recipe trains on them, and no prompt is made of them. Of other people names are dropped, and other personal data masked; what the
writer wrote is left out. Twins are what the measures must tell the writer from at the same topic.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from ghostwriter.collecting.clean import clean, prose
from ghostwriter.collecting.other_answers import OtherAnswers
from ghostwriter.collecting.personal_data import mask
from ghostwriter.collecting.sources.errors import SourceFailure
from ghostwriter.collecting.sources.files import KINDS, open_files
from ghostwriter.collecting.sources.har import recorded_answers
from ghostwriter.collecting.sources.record import Record
from ghostwriter.errors import WriterFileError
from ghostwriter.home import ROOT
from ghostwriter.pairs import Pair
from ghostwriter.similarity import answers_index
from ghostwriter.writer import beside_writers

log = logging.getLogger(__name__)

RECORDINGS = (".har", ".json")
READABLE = (*RECORDINGS, ".jsonl", *KINDS)
SHORTEST = 40
"""Characters of a text that says anything about who wrote it."""


def read_twins(named: Path | None, training: Sequence[Pair]) -> list[Pair]:
    """The training pairs that the file has a rewrite of, with the rewrite as their answer. Raises WriterFileError.

    Lines about other questions, held-out ones among them, are left aside.
    """
    if named is None:
        return []
    path = beside_writers(named)
    try:
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        plain = {str(row["question"]).strip(): str(row["plain"]).strip() for row in rows}
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError) as error:
        raise WriterFileError(
            f"evaluation.twins = {str(path)!r} cannot be read ({error}). It is a UTF-8 file with one JSON object a line: `question`,"
            " as the writer was asked, and `plain`, the writer's answer rewritten without the voice."
        ) from error
    return [Pair(pair.id, pair.question_id, pair.question, plain[pair.question]) for pair in training if plain.get(pair.question)]


def other_people(named: Path | None, collected: OtherAnswers, writer: Sequence[Pair]) -> tuple[Pair, ...]:
    """What the writer file names and what was collected from the site, both together. Raises WriterFileError."""
    found = {pair.id: pair for pair in (contrast_pairs(named, writer) if named else ())}
    if collected.count:
        found |= {pair.id: pair for pair in _pairs(open_files(collected.file).records, collected.file, writer)}
    return tuple(found[name] for name in sorted(found))


def contrast_pairs(named: Path, writer: Sequence[Pair]) -> list[Pair]:
    """Other people's (question, answer) below `evaluation.contrast`, without names; none of `writer`'s own. Raises WriterFileError."""
    path = ROOT / named.expanduser()
    try:
        records = list(_records(path))
    except SourceFailure as failure:
        raise WriterFileError(f"evaluation.contrast = {str(named)!r}: {failure}") from failure
    found = _pairs(records, path, writer)
    if not found:
        raise WriterFileError(
            f"evaluation.contrast = {str(named)!r} holds no text of {SHORTEST} characters or more by anybody but the writer."
        )
    return found


def _pairs(records: Sequence[Record], path: Path, writer: Sequence[Pair]) -> list[Pair]:
    """The records' texts, masked, that are long enough and nothing of the writer's; each once, named by what it says."""
    own = answers_index((pair.id, pair.answer) for pair in writer)
    found: dict[str, Pair] = {}
    for record in records:
        text = mask(prose(clean(record.body, record.body_kind).text).text).text.strip()
        if len(text) >= SHORTEST and not own.find(text):
            name = "contrast-" + sha256(text.encode()).hexdigest()[:16]
            found[name] = Pair(name, name, mask(record.question or "").text, text)
    log.info("To measure style against: %d texts of other people, of %d in %s.", len(found), len(records), path)
    return [found[name] for name in sorted(found)]


def _records(path: Path) -> Iterator[Record]:
    """All records below `path`: recordings of question pages, JSONL, text, Markdown, HTML. Raises SourceFailure."""
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in READABLE) if path.is_dir() else [path]
    if not files or not files[0].exists():
        raise WriterFileError(
            f"evaluation.contrast = {str(path)!r} does not exist, or holds nothing to read. It names a file or folder of other people's"
            " answers: a recording (HAR) of question pages, JSONL with a key `text`, or .txt, .md or .html files."
        )
    for file in files:
        yield from recorded_answers(file) if file.suffix.lower() in RECORDINGS else open_files(file).records
