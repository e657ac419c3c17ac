"""The archive -> a snapshot of trainable answers: cleaned, masked, without near duplicates, every rule's effect counted."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from ghostwriter.collecting.archive import Answer, all_answers
from ghostwriter.collecting.clean import Cleaned, clean, excerpt_matches, prose
from ghostwriter.collecting.personal_data import mask
from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.similarity import ANSWER_THRESHOLD, repeated_answers
from ghostwriter.snapshot import set_current, write_snapshot
from ghostwriter.writer import Writer

ANSWERS_FILE = "answers.jsonl"
UNTRAINABLE = (
    "gone", "deleted", "private", "paid", "truncated", "collapsed", "foreign_author", "not_answer",
    "question_unavailable", "image_only", "video_only", "empty_content",
)  # fmt: skip
"""Flags that keep an answer out of training, in the order in which the first one is counted."""
REUSE_FORBIDDEN = {"disallowed": "no_repost", "need_payment": "reuse_needs_payment"}
"""Wishes of the author that keep an answer out unless the writer file says `consent = true`."""
Row = dict[str, Any]


@dataclass
class Selection:
    """Rows to train on, and what was dropped and changed on the way."""

    rows: list[Row] = field(default_factory=list)
    dropped: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)


def snapshot_answers(writer: Writer, home: Home) -> Path:
    """Write the trainable answers of the archive as a snapshot folder, now the current one, and return it.

    The same answers give the same folder.
    """
    engine = open_database(home.database_url)
    try:
        with Session(engine) as session:
            selection = select_trainable(all_answers(session, writer.stem), consent=writer.source.consent)
    finally:
        engine.dispose()
    facts = {"changed": dict(sorted(selection.changed.items())), "near_duplicate_threshold": ANSWER_THRESHOLD}
    folder = write_snapshot(
        home.answers(writer.stem),
        "answers",
        writer.stem,
        {ANSWERS_FILE: selection.rows},
        dropped=dict(sorted(selection.dropped.items())),
        facts=facts,
    )
    set_current(folder)
    return folder


def select_trainable(answers: Iterator[Answer], *, consent: bool) -> Selection:
    """The rows of `answers` to train on, newest first; of near duplicates the longest stays."""
    selection = Selection()
    for answer in answers:
        cleaned = clean(answer.body, answer.body_kind)
        reason = _reason(answer, cleaned, consent)
        if reason:
            selection.dropped[reason] += 1
            continue
        selection.changed.update(cleaned.counts)
        selection.changed["excerpt_mismatches"] += excerpt_matches(cleaned.text, answer.excerpt) is False
        selection.rows.append(_row(answer, cleaned, selection.changed))
    selection.changed = +selection.changed
    selection.rows = _collapse(selection.rows, selection.dropped)
    return selection


def flags_of(answer: Answer, cleaned: Cleaned) -> list[str]:
    """All flags of an archived answer: those of its source, and what its text and its absence add."""
    own = [flag for flag in json.loads(answer.flags) if flag not in ("image_only", "video_only", "empty_content", "gone")]
    return [*(["gone"] if answer.gone_since is not None else []), *own, *([cleaned.media_only] if cleaned.media_only else [])]


def iso(seconds: int) -> str | None:
    """Unix seconds as ISO 8601 in UTC; None for 0, the unknown time."""
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None


def _reason(answer: Answer, cleaned: Cleaned, consent: bool) -> str | None:
    flags = flags_of(answer, cleaned)
    found = next((flag for flag in UNTRAINABLE if flag in flags), None)
    return found or (None if consent else REUSE_FORBIDDEN.get(answer.reuse or ""))


def _row(answer: Answer, cleaned: Cleaned, changed: Counter[str]) -> Row:
    words = prose(cleaned.text)
    question, text = mask(answer.question or ""), mask(words.text)
    changed.update(words.counts)
    changed.update({f"masked_{kind}": count for kind, count in (question.counts + text.counts).items()})
    return {
        "id": answer.id,
        "question_id": answer.question_id,
        "question": question.text,
        "text": text.text,
        "created": iso(answer.created),
        "updated": iso(answer.updated),
        "reuse": answer.reuse,
        "url": answer.url,
    }


def _collapse(rows: list[Row], dropped: Counter[str]) -> list[Row]:
    longest_first = sorted(rows, key=lambda row: (-len(row["text"]), row["created"] or "", row["id"]))
    repeats = repeated_answers((row["id"], row["text"]) for row in longest_first)
    if repeats:
        dropped["near_duplicate"] += len(repeats)
    return [row for row in rows if row["id"] not in repeats]
