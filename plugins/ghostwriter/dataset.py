"""Writes a dataset: three JSONL files of `messages` rows with the same columns, checked for leaks before anything is written."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ghostwriter.corpus import Corpus, Pair
from ghostwriter.errors import GhostwriterError
from ghostwriter.harvest import Accepted
from ghostwriter.similarity import answers_index, questions_index
from ghostwriter.snapshot import read_manifest, write_snapshot

DIRECT_FILE, DISTILLED_FILE, HELDOUT_FILE = "direct.jsonl", "distilled.jsonl", "heldout.jsonl"
KIND = "dataset"
Row = dict[str, Any]


class Leak(GhostwriterError):
    """A held-out question or answer, or a near duplicate, stands in what is trained on or was shown to the teacher."""

    code = "leak"


def write_dataset(
    parent: Path, writer: str, answers: Path, corpus: Corpus, rows: Sequence[Row], dropped: Mapping[str, int], facts: Mapping[str, Any]
) -> Path:
    """Check for leaks, write the folder, return it. Raises Leak."""
    check_leaks(corpus.heldout, [*_training_texts(corpus), *((row["id"], _question(row), _answer(row)) for row in rows)])
    files: dict[str, Iterable[Row]] = {
        DIRECT_FILE: [pair_row(pair) for pair in corpus.training],
        DISTILLED_FILE: rows,
        HELDOUT_FILE: [pair_row(pair) for pair in corpus.heldout],
    }
    all_dropped = {**corpus.dropped, **dropped}
    return write_snapshot(parent, KIND, writer, files, parents=(read_manifest(answers).digest,), dropped=all_dropped, facts=facts)


def pair_row(pair: Pair) -> Row:
    """A row of the writer's own words."""
    return _row(pair.id, pair.question_id, "writer", pair.question, pair.answer)


def teacher_row(accepted: Accepted, source: str, model: str, prompt_hash: str) -> Row:
    """A row of the teacher's words. `source` is the mode: distilled or self-instruct."""
    call = accepted.call
    row = _row(call.key, call.question.id, source, call.question.text, accepted.text)
    return {**row, "sample": call.sample, "model": model, "prompt": prompt_hash, "examples": [pair.id for pair in call.examples]}


def check_leaks(heldout: Sequence[Pair], training: Iterable[tuple[str, str, str]]) -> None:
    """Compare every training row and every text shown to the teacher, as (id, question, answer), with the held-out pairs. Raises Leak."""
    questions = questions_index((pair.id, pair.question) for pair in heldout)
    answers = answers_index((pair.id, pair.answer) for pair in heldout)
    for name, question, answer in training:
        leaked = questions.find(question) or (answer and answers.find(answer))
        if leaked:
            raise Leak(
                f"Row {name} holds the question or answer of the held-out pair {leaked}, or a near duplicate. "
                "No dataset was written. This is a defect."
            )


def _training_texts(corpus: Corpus) -> Iterable[tuple[str, str, str]]:
    """What prompts are made of: the training pairs, and questions that have no answer of the writer."""
    yield from ((pair.id, pair.question, pair.answer) for pair in corpus.training)
    yield from ((question.id, question.text, "") for question in corpus.questions if question.origin == "extra")


def _row(name: str, question_id: str, source: str, question: str, answer: str) -> Row:
    """The columns every file has, so that loaders can join the files; empty where they say nothing."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {
        "id": name,
        "question_id": question_id,
        "source": source,
        "messages": messages,
        "sample": 0,
        "model": "",
        "prompt": "",
        "examples": [],
    }


def _question(row: Row) -> str:
    return str(row["messages"][0]["content"])


def _answer(row: Row) -> str:
    return str(row["messages"][1]["content"])
