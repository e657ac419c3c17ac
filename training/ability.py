"""A small probe of what else a model can do, in English and Chinese: before training and after, so that what was forgotten shows.

`ability` is the share of tasks solved: questions with checkable answers (sums, facts, reading) and instructions whose keeping can be
checked. `ability_loss` is the loss on general text nobody trained on, in nats a token. Both run over their own questions, not the
writer's. A probe this small tells what is broken, not how good a model is.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.bootstrap import Measured, estimate, mean, ratio
from training.contrast import built_in
from training.data import Row
from training.generate import Answer, answer_batch
from training.model import Base
from training.row_loss import nats_of_rows, text_row

TASKS_FILE = Path(__file__).with_name("ability_tasks.jsonl")
MAX_NEW_TOKENS = 16

Ask = Callable[[Sequence[list[int]]], list[Answer]]


@dataclass(frozen=True)
class Task:
    """A question, and a regular expression that its answer must match somewhere (upper and lower case alike)."""

    question: str
    right: str

    def is_solved_by(self, text: str) -> bool:
        """Whether the answer is right."""
        return re.search(self.right, text.strip(), re.IGNORECASE) is not None


def tasks() -> list[Task]:
    """All tasks of the probe."""
    return [Task(**json.loads(line)) for line in TASKS_FILE.read_text(encoding="utf-8").splitlines()]


def ability(base: Base, ask: Ask, loss: Callable[[Sequence[Row]], Measured]) -> dict[str, Measured]:
    """`ability` and `ability_loss` of a model on `base`; `ask` answers prompts, `loss` is its loss on rows in nats a token."""
    asked = tasks()
    answers = ask([base.chat.prompt([{"role": "user", "content": task.question}]) for task in asked])
    rows = [text_row(base.tokenizer, text) for language in ("en", "zh") for text in built_in(language)[::2]]
    solved = [float(task.is_solved_by(answer.text)) for task, answer in zip(asked, answers, strict=True)]
    return {"ability": mean(solved), "ability_loss": loss(rows)}


def probe(model: Any, base: Base, batch: int) -> dict[str, float]:
    """The same as plain figures, `batch` questions at once."""

    def ask(prompts: Sequence[list[int]]) -> list[Answer]:
        parts = (prompts[start : start + batch] for start in range(0, len(prompts), batch))
        return [answer for part in parts for answer in answer_batch(model, base, part, MAX_NEW_TOKENS)]

    def loss(rows: Sequence[Row]) -> Measured:
        return ratio(nats_of_rows(model, base, rows), [len(row.ids) - row.answer_start for row in rows])

    return {name: estimate(measured).value for name, measured in ability(base, ask, loss).items()}
