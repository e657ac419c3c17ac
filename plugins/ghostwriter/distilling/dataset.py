"""Writes a dataset: three JSONL files of `messages` rows with the same columns, checked for leaks before anything is written.

The folder loads as it is with `datasets.load_dataset`, TRL's SFTTrainer and LLaMA-Factory (`ghostwriter.dataset_card`).
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.distilling.dataset_card import describe
from ghostwriter.distilling.harvest import Accepted
from ghostwriter.errors import GhostwriterError
from ghostwriter.pairs import Pair
from ghostwriter.similarity import answers_index, questions_index
from ghostwriter.snapshot import read_manifest, write_snapshot
from training.contract import INVERSE_FILE, TWINS_FILE

DIRECT_FILE, DISTILLED_FILE, HELDOUT_FILE = "direct.jsonl", "distilled.jsonl", "heldout.jsonl"
CONTRAST_FILE = "contrast.jsonl"
"""Other people's answers, where the writer file names some: style is measured against them, and nothing else is done with them."""
KIND = "dataset"
Row = dict[str, Any]


class Leak(GhostwriterError):
    """A held-out question or answer, or a near duplicate, stands in what is trained on or was shown to the teacher."""

    code = "leak"


def write_dataset(
    parent: Path,
    writer: str,
    answers: Path,
    corpus: Corpus,
    rows: Sequence[Row],
    dropped: Mapping[str, int],
    facts: Mapping[str, Any],
    inverse: Sequence[Row] = (),
) -> Path:
    """Check for leaks, write the folder, return it. Raises Leak."""
    bought = ((row["id"], _question(row), _answer(row)) for row in (*rows, *inverse))
    notes = ((row["id"], "", _question(row)) for row in inverse)
    check_leaks(corpus.heldout, [*_training_texts(corpus), *bought, *notes])
    files: dict[str, list[Row]] = {
        DIRECT_FILE: [pair_row(pair) for pair in corpus.training],
        DISTILLED_FILE: list(rows),
        HELDOUT_FILE: [pair_row(pair) for pair in corpus.heldout],
    }
    if inverse:
        files[INVERSE_FILE] = list(inverse)
    others = [_row(pair.id, pair.question_id, "other people", pair.question, pair.answer) for pair in corpus.contrast]
    if corpus.twins:
        files[TWINS_FILE] = [_row(f"{pair.id}-plain", pair.question_id, "plain", pair.question, pair.answer) for pair in corpus.twins]
    return write_snapshot(
        parent,
        KIND,
        writer,
        {**files, CONTRAST_FILE: others} if others else files,
        parents=(read_manifest(answers).digest,),
        dropped={**corpus.dropped, **dropped},
        facts=facts,
        documents=describe(
            writer,
            {name: len(rows) for name, rows in files.items()},
            (DISTILLED_FILE, INVERSE_FILE, DIRECT_FILE) if inverse else (DISTILLED_FILE, DIRECT_FILE),
            HELDOUT_FILE,
            facts.get("teacher", {}).get("model"),
        ),
    )


def dataset_metrics(folder: Path) -> dict[str, float]:
    """A dataset's totals for a tracking server: rows, calls by their end, cost, diversity. A `direct` one has rows only."""
    manifest = read_manifest(folder)
    counts, cost = manifest.facts.get("counts", {}), manifest.facts.get("cost", {})
    metrics = {f"dataset/rows/{name.removesuffix('.jsonl')}": float(entry.rows) for name, entry in manifest.files.items()}
    metrics |= {f"teacher/calls/{end}": float(counts[end]) for end in ("planned", "accepted") if end in counts}
    for end in ("rejected", "failed"):
        metrics |= {f"teacher/calls/{end}/{reason}": float(number) for reason, number in counts.get(end, {}).items()}
    metrics |= {f"teacher/cost/{name}": float(amount) for name, amount in cost.items()}
    rewrites = manifest.facts.get("rewrites", {}).get("counts", {})
    metrics |= {f"teacher/rewrites/{end}": float(rewrites[end]) for end in ("planned", "accepted") if end in rewrites}
    for whose, figures in manifest.facts.get("diversity", {}).items():
        metrics |= {f"diversity/{whose}/{name}": value for name, value in figures.items()}
    return metrics


def pair_row(pair: Pair) -> Row:
    """A row of the writer's own words."""
    return training_row(pair.id, "writer", pair, pair.question)


def training_row(name: str, source: str, pair: Pair, question: str) -> Row:
    """A row with the writer's answer to `question`, which is the pair's, or that with notes."""
    return _row(name, pair.question_id, source, question, pair.answer)


def teacher_row(accepted: Accepted, source: str, model: str, prompt_hash: str) -> Row:
    """A row of the teacher's words. `source` is the mode: distilled or self-instruct."""
    call = accepted.call
    row = _row(call.key, call.question.id, source, call.question.text, accepted.text)
    return {
        **row,
        "sample": call.sample,
        "model": model,
        "prompt_hash": prompt_hash,
        "examples": " ".join(pair.id for pair in call.examples),
    }


def check_leaks(heldout: Sequence[Pair], training: Iterable[tuple[str, str, str]]) -> None:
    """Compare every training row and every text shown to the teacher, as (id, question, answer), with the held-out pairs. Raises Leak."""
    questions = questions_index((pair.id, pair.question) for pair in heldout)
    answers = answers_index((pair.id, pair.answer) for pair in heldout)
    find_question = cache(questions.find)  # each stands in many rows
    for name, question, answer in training:
        leaked = (question and find_question(question)) or (answer and answers.find(answer))
        if leaked:
            raise Leak(
                f"Row {name} holds the question or answer of the held-out pair {leaked}, or a near duplicate. "
                "No dataset was written. This is a defect."
            )


def _training_texts(corpus: Corpus) -> Iterable[tuple[str, str, str]]:
    """What prompts and measures are made of: training pairs, their plain rewrites, and questions without an answer of the writer."""
    yield from ((pair.id, pair.question, pair.answer) for pair in corpus.training)
    yield from ((pair.id, pair.question, pair.answer) for pair in corpus.twins)
    yield from ((question.id, question.text, "") for question in corpus.questions if question.origin == "extra")


def _row(name: str, question_id: str, source: str, question: str, answer: str) -> Row:
    """The columns every file has, with the same types, so that loaders can join the files (an empty list would have no type).

    None may be called `prompt`: TRL would take the row for a prompt with a completion.
    """
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {
        "id": name,
        "question_id": question_id,
        "source": source,
        "messages": messages,
        "sample": 0,
        "model": "",
        "prompt_hash": "",
        "examples": "",
    }


def _question(row: Row) -> str:
    return str(row["messages"][0]["content"])


def _answer(row: Row) -> str:
    return str(row["messages"][1]["content"])
