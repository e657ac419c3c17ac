"""What a form says about cost, from the writer file and a sample of the newest snapshot: light enough for each parse of a DAG file."""

import json
from pathlib import Path

from ghostwriter.home import Home
from ghostwriter.snapshot import MANIFEST
from ghostwriter.teacher.budget import Prices, Usage, money
from ghostwriter.tokens import estimate_tokens
from ghostwriter.writer import Writer

SAMPLE = 200
"""Pairs whose length is looked at."""
TYPICAL_QUESTION, TYPICAL_ANSWER = 20.0, 200.0
"""Tokens, while there is no snapshot."""
PROMPT_TOKENS = 80
"""Of the instructions around the examples."""


def form_estimate(writer: Writer, home: Home) -> str:
    """A line for a form: what an answer and all of them cost at the lengths of the writer's own."""
    writer = writer.asking(writer.mode)
    settings, prices = writer.teacher, Prices.of(writer.budget)
    question, answer, basis = _lengths(home.answers(writer.stem))
    prompt = round(settings.examples * (question + answer) + question + PROMPT_TOKENS)
    usage = Usage(prompt=prompt, cached=0, completion=round(min(answer, settings.max_tokens)))
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
    finished = [path.parent for path in folder.glob(f"*/{MANIFEST}")]
    if not finished:
        return TYPICAL_QUESTION, TYPICAL_ANSWER, "a guess: nothing was collected yet"
    newest = max(finished, key=lambda path: (path / MANIFEST).stat().st_mtime)
    lines = (newest / "answers.jsonl").read_bytes().splitlines()
    rows = [json.loads(line) for line in lines[:: max(1, len(lines) // SAMPLE)]]
    if not rows:
        return TYPICAL_QUESTION, TYPICAL_ANSWER, "a guess: the newest snapshot is empty"
    question, answer = (sum(estimate_tokens(row[name]) for row in rows) / len(rows) for name in ("question", "text"))
    return question, answer, f"the lengths of {len(lines):,} answers"
