"""Replay: rows that keep a base what it is. It answers general questions before it has an adapter, and its own answers are trained on
among the others (self-distillation: no teacher, nothing bought).

The answers stand in the run folder, so that a training that goes on has the same rows; those given so far are kept beside the base
models, where a killed training finds them.
"""

import json
import logging
import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from training.answer.arms import ANSWERS_FOLDER, BATCHES
from training.answer.generate import Answer, answer_batch
from training.answer.kept_rows import Facts, KeptRows
from training.contract import HELDOUT_FILE, Answering, TrainRequest
from training.files import write_file
from training.models.model import Base
from training.processes import Processes
from training.rows.data import Rows, load_rows, read_messages
from training.signals import Look

log = logging.getLogger(__name__)

QUESTIONS_FILE = Path(__file__).with_name("replay_questions.txt")
REPLAY_FILE = "replay.jsonl"
MAX_NEW_TOKENS = 256
"""Longer answers are left out: a row that was cut would teach that answers have no end."""
TEMPERATURE = 0.7
MOST_ROUNDS = 64
"""Samples of a question, at most: a base that never ends its answers is not asked for ever."""
NEAR = 0.6
"""Share of three letters in a row, of all that two questions have, from which they ask nearly the same (ghostwriter.similarity)."""


def replay_rows(request: TrainRequest, base: Base, rows: int, processes: Processes, look: Look) -> Rows:
    """The rows to add to `rows` others, so that they make `replay_share` of all; none without that setting.

    The main process asks; the others wait for it. `look` is called now and then, and may raise.
    """
    if not request.recipe.replay_share:
        return Rows([], {})
    path = request.run_folder / REPLAY_FILE
    if processes.is_main and not path.exists():
        _write(path, request, base, replayed(rows, request.recipe.replay_share), look)
    processes.wait()
    if not path.stat().st_size:
        log.warning("The base ended none of its answers to general questions: nothing is replayed.")
        return Rows([], {})
    return load_rows(request.run_folder, [REPLAY_FILE], base.chat, request.recipe.max_length, look=look)


def replayed(rows: int, share: float) -> int:
    """How many rows make `share` of all together with `rows` others."""
    return round(rows * share / (1 - share))


def questions(heldout: Sequence[str], seed: int) -> list[str]:
    """The general questions in a seeded order, without any that is nearly a held-out one."""
    asked = QUESTIONS_FILE.read_text(encoding="utf-8").splitlines()
    kept = [question for question in asked if not any(is_near(question, other) for other in heldout)]
    return random.Random(seed).sample(kept, len(kept))


def _write(path: Path, request: TrainRequest, base: Base, wanted: int, look: Look) -> None:
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for question, answer in _answers(questions(heldout_questions(request.dataset), request.recipe.seed), request, base, look):
        if len(found) == wanted:
            break
        if answer.finished and answer.text:
            turns = ({"role": "user", "content": question}, {"role": "assistant", "content": answer.text})
            found[question, answer.text] = {"messages": turns}
    log.info("The base's own answers to %d general questions are replayed.", len(found))
    write_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found.values()))


def heldout_questions(dataset: Path) -> list[str]:
    """The questions nobody trains on; none where the dataset holds none out."""
    if not (dataset / HELDOUT_FILE).exists():
        return []
    return [messages[-2]["content"] for _, messages in read_messages(dataset, [HELDOUT_FILE])]


def _answers(asked: Sequence[str], request: TrainRequest, base: Base, look: Look) -> Iterator[tuple[str, Answer]]:
    """Every question once, then every question again, a batch at a time."""
    recipe, model = request.recipe, base.model.eval()
    who = (base.fingerprint, str(recipe.revision), recipe.precision, "replay", *(field.name for field in fields(Answer)))
    batch = BATCHES[model.device.type]
    for sample in range(MOST_ROUNDS):
        answering = Answering(temperature=TEMPERATURE, seed=recipe.seed + sample)
        kept = KeptRows(request.models / ANSWERS_FOLDER, *who, answering.model_dump_json())
        compute = partial(_ask, base, model, answering, look)
        for start in range(0, len(asked), batch):
            part = asked[start : start + batch]
            rows = kept.rows(part, batch, compute, lambda _done: None)
            yield from ((question, Answer(**row)) for question, row in zip(part, rows, strict=True))


def _ask(base: Base, model: Any, answering: Answering, look: Look, asked: Sequence[str]) -> list[Facts]:
    prompts = [base.chat.prompt([{"role": "user", "content": question}]) for question in asked]
    return [asdict(answer) for answer in answer_batch(model, base, prompts, [MAX_NEW_TOKENS] * len(asked), answering, look)]


def is_near(one: str, other: str) -> bool:
    """Whether two questions ask nearly the same."""
    left, right = _threes(one), _threes(other)
    shared = len(left & right)
    return shared >= NEAR * (len(left) + len(right) - shared)


@lru_cache(maxsize=4096)  # each of 4,000 pairs is compared with each held-out question
def _threes(text: str) -> frozenset[str]:
    """Three letters or digits in a row; two of a text as short as a Chinese question."""
    letters = "".join(filter(str.isalnum, text.lower()))
    length = 3 if letters.isascii() else 2
    return frozenset(letters[start : start + length] for start in range(max(1, len(letters) - length + 1)))
