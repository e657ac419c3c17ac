"""What an answer costs at the lengths of the writer's own, from a sample of the newest snapshot: light enough for a page."""

import json
from collections.abc import Iterator
from pathlib import Path

from ghostwriter.home import Home
from ghostwriter.snapshot import newest, read_manifest
from ghostwriter.teacher.budget import Prices, Usage, money
from ghostwriter.tokens import estimate_tokens
from ghostwriter.writer import Writer

ANSWERS = "answers.jsonl"
SAMPLE = 200
"""Pairs whose length is looked at, of many."""
TYPICAL_QUESTION, TYPICAL_ANSWER = 20.0, 200.0
"""Tokens, while there is no snapshot."""
PROMPT_TOKENS = 80
"""Of the instructions around the examples."""


def typical_cost(writer: Writer, home: Home) -> str:
    """A line for a person: what an answer and all of them cost at the lengths of the writer's own."""
    writer = writer.asking(writer.mode)
    settings, prices = writer.teacher, Prices.of(writer.budget)
    question, answer, basis = _lengths(home.answers(writer.stem))
    prompt = round(settings.examples * (question + answer) + question + PROMPT_TOKENS)
    usage = Usage(prompt=prompt, cached=0, completion=round(min(answer, settings.max_tokens)) + settings.thinking)
    each = prices.cost(usage)
    if not each:
        return "The writer file names no prices, so no cost can be estimated."
    cap = "no cap" if writer.budget.cap is None else f"cap {money(writer.budget.cap)}"
    return (
        f"About {usage.prompt} tokens in and {usage.completion} out an answer ({basis}): {money(each)} each, "
        f"{money(each * settings.answers)} for {settings.answers:,} ({cap}), less what the ledger holds already. "
        "The run's log gives the exact plan before anything is spent."
    )


def _lengths(folder: Path) -> tuple[float, float, str]:
    """Mean tokens of the writer's questions and answers, and where they come from."""
    snapshot = newest(folder)
    if not snapshot:
        return TYPICAL_QUESTION, TYPICAL_ANSWER, "a guess: nothing was collected yet"
    try:
        rows = list(sampled_rows(snapshot / ANSWERS))
    except (OSError, ValueError):
        return TYPICAL_QUESTION, TYPICAL_ANSWER, f"a guess: {snapshot.name} cannot be read"
    if not rows:
        return TYPICAL_QUESTION, TYPICAL_ANSWER, "a guess: the newest snapshot is empty"
    question, answer = (sum(estimate_tokens(row[name]) for row in rows) / len(rows) for name in ("question", "text"))
    return question, answer, f"the lengths of {read_manifest(snapshot).files[ANSWERS].rows:,} answers"


def sampled_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows that begin next after evenly spaced places of a file, each once; of a short file all. The rest is not read."""
    size, begun = path.stat().st_size, -1
    with path.open("rb") as file:
        for place in range(0, size, max(1, size // SAMPLE)):
            file.seek(max(0, place - 1))
            if place:
                file.readline()
            if begun < file.tell() < size:
                begun = file.tell()
                yield json.loads(file.readline())
