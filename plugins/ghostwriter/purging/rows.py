"""Archive, ledger, votes: the rows that hold an answer, or a writer. What was paid stays in the books, without a word of text."""

import json
from collections.abc import Iterable

from sqlalchemy import Connection, Engine, delete, select

from ghostwriter.collecting.archive import Answer, AntiBotStop, Crawl, Revision
from ghostwriter.collecting.clean import clean
from ghostwriter.database import erasing
from ghostwriter.modes import LEDGER_SUFFIX
from ghostwriter.teacher.ledger import AnswerRow, ExamplesRow
from ghostwriter.votes.removal import find_votes_on, remove_all_votes, remove_votes

CHUNK = 500
"""Keys in one IN clause: below every database's limit of parameters."""


def ledgers(stem: str) -> tuple[str, ...]:
    """All names under which a writer's calls stand in the ledger: of the teacher and the student, and last the judge
    (`ghostwriter.writer`)."""
    return (stem, *(f"{stem}{suffix}" for suffix in LEDGER_SUFFIX.values()), f"{stem}-judge")


def question_of(engine: Engine, writer: str, answer: str) -> str | None:
    """The id of the question an archived answer answers; None when it is not archived (any more)."""
    with engine.connect() as connection:
        return connection.execute(select(Answer.question_id).where(Answer.writer == writer, Answer.id == answer)).scalar()


def votes_on(engine: Engine, stem: str, answer: str) -> list[str]:
    """The ids of votes that `remove_answer` will remove."""
    with engine.connect() as connection:
        return find_votes_on(connection, stem, _texts_of(connection, stem, answer))["votes"]


def remove_answer(engine: Engine, stem: str, answer: str, question_id: str | None) -> dict[str, int]:
    """Remove an answer and its revisions, the teacher's answers to its question or with it as an example, all verdicts, and the votes
    and chats that ask its question or repeat it, nearly or word for word.

    A verdict does not say which answers it compared, and is cheap to buy again.
    """
    with erasing(engine) as connection:
        talked = remove_votes(connection, find_votes_on(connection, stem, _texts_of(connection, stem, answer)))
        asked = _asked_with(connection, ledgers(stem)[:-1], answer, question_id)
        taught = _delete_keys(connection, asked) + _delete_answers(connection, [ledgers(stem)[-1]])
        for row in _examples_with(connection, stem, answer, question_id):
            connection.execute(
                delete(ExamplesRow).where(
                    ExamplesRow.writer == stem,
                    ExamplesRow.rotation == row[0],
                    ExamplesRow.question_id == row[1],
                    ExamplesRow.sample == row[2],
                )
            )
        revisions = connection.execute(delete(Revision).where(Revision.writer == stem, Revision.answer == answer))
        answers = connection.execute(delete(Answer).where(Answer.writer == stem, Answer.id == answer))
    return {"archived": answers.rowcount, "revisions": revisions.rowcount, "teacher_answers": taught, **talked}


def remove_writer(engine: Engine, stem: str) -> dict[str, int]:
    """Remove everything of a writer but what calls cost."""
    with erasing(engine) as connection:
        talked = remove_all_votes(connection, stem)
        taught = _delete_answers(connection, ledgers(stem))
        connection.execute(delete(ExamplesRow).where(ExamplesRow.writer == stem))
        revisions = connection.execute(delete(Revision).where(Revision.writer == stem))
        answers = connection.execute(delete(Answer).where(Answer.writer == stem))
        for table in (Crawl, AntiBotStop):
            connection.execute(delete(table).where(table.writer == stem))
    return {"archived": answers.rowcount, "revisions": revisions.rowcount, "teacher_answers": taught, **talked}


def _texts_of(connection: Connection, stem: str, answer: str) -> list[tuple[str, str]]:
    """Question and words of an archived answer, as it is and as it was before each edit."""
    here = (Answer.writer == stem, Answer.id == answer)
    now = select(Answer.question, Answer.body, Answer.body_kind).where(*here)
    before = select(Revision.question, Revision.body, Answer.body_kind).join(
        Answer, (Revision.writer == Answer.writer) & (Revision.answer == Answer.id)
    )
    rows = [*connection.execute(now), *connection.execute(before.where(*here))]
    return [(row.question or "", clean(row.body, row.body_kind).text) for row in rows]


def _asked_with(connection: Connection, names: Iterable[str], answer: str, question_id: str | None) -> list[str]:
    """Keys of answers to the question, or in whose prompt the answer stood."""
    columns = select(AnswerRow.key, AnswerRow.question_id, AnswerRow.examples).where(AnswerRow.writer.in_(names))
    rows = connection.execution_options(yield_per=1_000).execute(columns)
    return [row.key for row in rows if row.question_id == question_id or answer in json.loads(row.examples)]


def _examples_with(connection: Connection, writer: str, answer: str, question_id: str | None) -> list[tuple[str, str, int]]:
    rows = connection.execute(select(ExamplesRow).where(ExamplesRow.writer == writer))
    return [
        (row.rotation, row.question_id, row.sample) for row in rows if row.question_id == question_id or answer in json.loads(row.examples)
    ]


def _delete_answers(connection: Connection, names: Iterable[str]) -> int:
    return connection.execute(delete(AnswerRow).where(AnswerRow.writer.in_(names))).rowcount


def _delete_keys(connection: Connection, keys: list[str]) -> int:
    for start in range(0, len(keys), CHUNK):
        connection.execute(delete(AnswerRow).where(AnswerRow.key.in_(keys[start : start + CHUNK])))
    return len(keys)
