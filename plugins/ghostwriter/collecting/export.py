"""The archive -> one row an answer, every one of them, for whoever wants to look or to leave."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy.orm import Session

from ghostwriter.collecting.answers import flags_of, iso
from ghostwriter.collecting.archive import Answer, all_answers
from ghostwriter.collecting.clean import clean
from ghostwriter.collecting.personal_data import mask
from ghostwriter.database import open_database
from ghostwriter.home import Home

Row = dict[str, Any]


def export_rows(home: Home, writer: str, *, masked: bool = True) -> Iterator[Row]:
    """All archived answers of a writer, newest first, also gone, paid and duplicate ones; personal data masked unless told otherwise."""
    engine = open_database(home.database_url)
    try:
        with Session(engine) as session:
            for answer in all_answers(session, writer):
                yield _row(answer, masked)
    finally:
        engine.dispose()


def _row(answer: Answer, masked: bool) -> Row:
    cleaned = clean(answer.body, answer.body_kind)
    question, text = answer.question, cleaned.text
    if masked:
        question, text = mask(question).text if question else question, mask(text).text
    return {
        "id": answer.id,
        "question_id": answer.question_id,
        "question": question,
        "text": text,
        "created": iso(answer.created),
        "updated": iso(answer.updated),
        "flags": flags_of(answer, cleaned),
    }
