"""Votes and kept chats that hold an answer somebody wants forgotten, or all of a writer's."""

import json
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, delete, select

from ghostwriter.similarity import answers_index, questions_index
from ghostwriter.tokens import ngrams, words
from ghostwriter.votes.records import ChatRow, VoteRow

QUOTED_WORDS = 12
"""A run of so many words (Chinese characters) of an answer is a quotation of it."""
CHUNK = 500
"""Keys in one IN clause: below every database's limit of parameters."""
_TABLES: dict[str, type[VoteRow] | type[ChatRow]] = {"votes": VoteRow, "chats": ChatRow}


def find_votes_on(connection: Connection, writer: str, texts: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The ids, by kind, of what asks nearly one of these questions, or nearly repeats or quotes one of these answers.

    `texts` are (question, answer): one answer as it is and as it was.
    """
    is_about = _finder(texts)
    votes = select(VoteRow.id, VoteRow.messages, VoteRow.text_a, VoteRow.text_b).where(VoteRow.writer == writer)
    chats = select(ChatRow.id, ChatRow.messages, ChatRow.text).where(ChatRow.writer == writer)
    found = {}
    for kind, chosen in (("votes", votes), ("chats", chats)):
        rows = connection.execution_options(yield_per=1_000).execute(chosen)
        found[kind] = [name for name, messages, *answers in rows if is_about(messages, answers)]
    return found


def remove_votes(connection: Connection, found: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Remove what `find_votes_on` found; returns how many, by kind."""
    for kind, names in found.items():
        table = _TABLES[kind]
        for start in range(0, len(names), CHUNK):
            connection.execute(delete(table).where(table.id.in_(names[start : start + CHUNK])))
    return {kind: len(names) for kind, names in found.items()}


def remove_all_votes(connection: Connection, writer: str) -> dict[str, int]:
    """Remove everything of a writer; returns how many, by kind."""
    return {kind: connection.execute(delete(table).where(table.writer == writer)).rowcount for kind, table in _TABLES.items()}


def _finder(texts: Sequence[tuple[str, str]]) -> Callable[[str, Sequence[str]], bool]:
    questions = questions_index((question, question) for question, _ in texts if question)
    answers = answers_index((answer, answer) for _, answer in texts if answer)
    runs = {run for _, answer in texts for run in ngrams(words(answer), QUOTED_WORDS)}

    def is_about(messages: str, answered: Sequence[str]) -> bool:
        """Whether any message, question or answer, or any of `answered` holds one of the texts."""
        said = [message["content"] for message in json.loads(messages)] + list(answered)
        return any(questions.find(text) or answers.find(text) or not runs.isdisjoint(ngrams(words(text), QUOTED_WORDS)) for text in said)

    return is_about
