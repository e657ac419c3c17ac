"""Other people's answers to a writer's questions, from the site into files of the writer's home.

`style` is measured against them, and nothing else is done with them: they never enter the archive, so no snapshot, prompt or
training row is made of them. No name is kept, but each record's licence and link are. A batch of questions is read, its
answers are appended and synced, then its questions: a kill at any instruction loses at most the batch in flight.
"""

import json
import logging
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sqlalchemy.orm import sessionmaker

from ghostwriter.collecting.archive import questions_of
from ghostwriter.collecting.collect import collection_lock
from ghostwriter.collecting.sources import open_source
from ghostwriter.collecting.sources.errors import SourceFailure
from ghostwriter.collecting.sources.record import Record
from ghostwriter.collecting.sources.stackexchange import MOST_IDS, StackExchangeSource
from ghostwriter.database import open_database
from ghostwriter.errors import GhostwriterError
from ghostwriter.files import make_folder, sync_folder, write_durably
from ghostwriter.home import Home
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

ENOUGH = 1_000
"""Answers from which no further question is asked: style learns from 500 texts, and each dataset holds a copy of all of them."""


class NoOtherAnswers(GhostwriterError):
    """The writer's source cannot be asked for other people's answers, or nothing of the writer's is archived yet."""

    code = "no_other_answers"


@dataclass(frozen=True)
class OtherAnswers:
    """The two files in `folder`: answers as JSONL rows, and the ids of the questions that were asked, one a line."""

    folder: Path

    @property
    def file(self) -> Path:
        """The answers: rows that `evaluation.contrast` could name as well."""
        return self.folder / "answers.jsonl"

    @property
    def _asked_file(self) -> Path:
        return self.folder / "asked.txt"

    @property
    def asked(self) -> set[str]:
        """Ids of the questions that need not be asked again."""
        return {line.decode() for line in _whole_lines(self._asked_file)}

    @property
    def count(self) -> int:
        """How many answers there are."""
        return len({json.loads(line)["id"] for line in _whole_lines(self.file)})

    def add(self, questions: Mapping[str, str], answers: Sequence[Record]) -> None:
        """Keep what the site gave to these questions (id to title)."""
        make_folder(self.folder)
        _append(self.file, (json.dumps(_row(answer, questions.get(answer.question_id, "")), ensure_ascii=False) for answer in answers))
        _append(self._asked_file, questions)

    def forget(self, question_id: str) -> int:
        """Remove a question and its answers; returns how many answers there were."""
        kept = {path: _whole_lines(path) for path in (self.file, self._asked_file) if path.exists()}
        rows = [line for line in kept.get(self.file, []) if json.loads(line)["question_id"] != question_id]
        gone = len(kept.get(self.file, [])) - len(rows)
        for path in kept:
            lines = rows if path == self.file else [line for line in kept[path] if line.decode() != question_id]
            write_durably(path, b"".join(line + b"\n" for line in lines))
        return gone


def collect_others(
    writer: Writer,
    home: Home,
    *,
    cookie: str | None = None,
    user_agent: str | None = None,
    site: str | None = None,
    pace: float | None = None,
) -> str:
    """Ask the site for other people's answers to the writer's questions, and say in a sentence what is there now.

    Raises NoOtherAnswers, AlreadyRunning, or SourceFailure with what was kept; another call goes on from there.
    """
    source = open_source(writer, cookie=cookie, user_agent=user_agent, site=site, pace=pace)
    if not isinstance(source, StackExchangeSource):
        raise NoOtherAnswers(
            f"{writer.name} is collected from {writer.source.kind}, which is not asked for other people's answers. Record question"
            " pages in your browser as HAR with content, and name the file under [evaluation]: contrast = 'FILE'."
        )
    others = OtherAnswers(home.contrast(writer.stem))
    with collection_lock(home, writer.stem):
        questions = _questions(writer, home)
        try:
            _ask(source, others, _waiting(questions, others.asked))
        except SourceFailure as failure:
            failure.kept = f"Kept: {_kept(others, questions)}"
            raise
    return f"{_kept(others, questions)} {source.requests} requests."


def _kept(others: OtherAnswers, questions: Mapping[str, str]) -> str:
    asked = len(others.asked & questions.keys())
    return f"{others.count} other answers to {asked} of {len(questions)} questions are in {others.file}."


def _ask(source: StackExchangeSource, others: OtherAnswers, waiting: Mapping[str, str]) -> None:
    count, names = others.count, list(waiting)
    for start in range(0, len(names), MOST_IDS):
        if count >= ENOUGH:
            log.info("%d other answers are enough; the other questions are not asked.", count)
            return
        batch = names[start : start + MOST_IDS]
        answers = source.answers_to(batch)
        others.add({name: waiting[name] for name in batch}, answers)
        count += len(answers)
        log.info("%d other answers, %d requests.", count, source.requests)


def _questions(writer: Writer, home: Home) -> dict[str, str]:
    """Titles of the archived answers' questions, by id. Raises NoOtherAnswers when there are none."""
    engine = open_database(home.database_url)
    try:
        with sessionmaker(engine)() as session:
            found = questions_of(session, writer.stem)
    finally:
        engine.dispose()
    known = {name: title for name, title in found.items() if name.isascii() and name.isdigit()}
    if not known:
        raise NoOtherAnswers(f"No question of {writer.name} is archived yet: run `python -m ghostwriter collect {writer.stem}` first.")
    return known


def _waiting(questions: Mapping[str, str], asked: set[str]) -> dict[str, str]:
    """Those not asked yet, in an order that mixes years and topics and stays as it is."""
    return {name: questions[name] for name in sorted(questions.keys() - asked, key=lambda name: sha256(name.encode()).digest())}


def _row(answer: Record, question: str) -> dict[str, str | int | None]:
    """What is kept of an answer: nothing of who wrote it."""
    return {
        "id": answer.id,
        "question_id": answer.question_id,
        "question": question,
        "html": answer.body,
        "url": answer.url,
        "license": answer.reuse,
        "created": answer.created,
    }


def _whole_lines(path: Path) -> list[bytes]:
    """All lines but one that a kill cut off."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def _append(path: Path, lines: Iterable[str]) -> None:
    """Add whole lines in place of a cut one, and put them on the disk."""
    whole = sum(len(line) + 1 for line in _whole_lines(path))
    with path.open("ab") as file:
        file.truncate(whole)
        file.write("".join(line + "\n" for line in lines).encode("utf-8", errors="replace"))
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
