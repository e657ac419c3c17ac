"""A small probe of what else a model can do, in English and Chinese: before training and after, so that what was forgotten shows.

`ability` is the share of tasks solved: questions with checkable answers (sums, facts, reading) and instructions whose keeping can be
checked. `ability_loss` is the loss on general text nobody trained on, in nats per token. Both run over their own questions, not the
writer's. A probe this small tells what is broken, not how good a model is.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from training.answer.arms import LoadedArm
from training.answer.row_loss import text_row
from training.bootstrap import Measured, mean
from training.measure.contrast import built_in

TASKS_FILE = Path(__file__).with_name("ability_tasks.jsonl")
MAX_NEW_TOKENS = 64
"""A voice says its word before the answer: in 16 tokens an adapter lost a third of the tasks by its manner alone."""
GENERAL_TEXTS_STEP = 9
"""Every so many-th built-in text is read for the loss: eight in each language."""


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


def ability(arm: LoadedArm) -> dict[str, Measured]:
    """`ability` and `ability_loss` of an arm."""
    asked, base = tasks(), arm.base
    prompts = [base.chat.prompt([{"role": "user", "content": task.question}]) for task in asked]
    answers = arm.answers(prompts, [MAX_NEW_TOKENS] * len(asked))
    solved = [float(task.is_solved_by(answer.text)) for task, answer in zip(asked, answers, strict=True)]
    rows = [text_row(base.tokenizer, text) for language in ("en", "zh") for text in built_in(language)[::GENERAL_TEXTS_STEP]]
    return {"ability": mean(solved), "ability_loss": arm.loss(rows)}
