"""The pairs that arm `preferred` trains on: the writer's answer against the student's own, and what people voted for.

The student answers every training question once, at temperature 1, before the training; loops are kept, for they are what it is to
unlearn. The pairs stand in the run folder in TRL's form (`prompt`, `chosen`, `rejected`), so that a training that goes on has the
same; votes in that form (`python -m ghostwriter votes`) lie beside them. What nearly asks a held-out question is left out.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from training.answer.arms import ANSWERS_FOLDER, BATCHES, adapter_digest
from training.answer.generate import Answer, answer_batch
from training.answer.kept_rows import Facts, KeptRows
from training.answer.limit import answer_limit
from training.contract import PAIRS_FILE, TRAINING_FILES, VOTES_FILE, Answering, TrainRequest
from training.errors import DatasetError
from training.files import write_file
from training.fit.preference import PreferencePair
from training.fit.replay import heldout_questions, is_near
from training.models.model import Base
from training.processes import Processes
from training.rows.data import Message, Row, read_messages
from training.signals import Look

log = logging.getLogger(__name__)

LONGEST_RATIO = 2.0
"""Of the longer answer's tokens to the shorter's: a pair beyond it would teach a length."""
WATCHED_SHARE, MOST_WATCHED = 0.1, 32
"""Of the pairs, those that nobody trains on and the training looks at."""
FORM = '{"prompt": [messages], "chosen": [one message of the assistant], "rejected": [one]}'


@dataclass(frozen=True)
class Pairs:
    """Pairs to train on, pairs to look at, and how many were left out, by reason."""

    training: list[PreferencePair]
    watched: list[PreferencePair]
    dropped: dict[str, int]


def load_pairs(request: TrainRequest, base: Base, model: Any, processes: Processes, look: Look) -> Pairs:
    """All pairs of a request; the main process asks the student where they are not written yet. Raises DatasetError."""
    path = request.run_folder / PAIRS_FILE
    if processes.is_main and not path.exists():
        write_file(path, "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in _own_pairs(request, base, model, look)))
    processes.wait()
    votes = request.run_folder / VOTES_FILE
    found = [(f"{file.name}:{number}", row) for file in (path, votes) if file.exists() for number, row in _read(file)]
    heldout, dropped = heldout_questions(request.dataset), dict[str, int]()
    kept = []
    for source, row in found:
        look()
        if reason := _reason(row, heldout, base):
            dropped[reason] = dropped.get(reason, 0) + 1
            continue
        pair = _pair(source, row, base)
        reason = _length_reason(pair, row, request.recipe.max_length)
        if reason:
            dropped[reason] = dropped.get(reason, 0) + 1
        else:
            kept.append(pair)
    if len(kept) < 2:
        raise DatasetError(
            f"There are {len(kept)} pairs to train on in {request.run_folder}; left out: {dropped or 'none'}. Two are needed."
        )
    watched = min(MOST_WATCHED, max(1, round(len(kept) * WATCHED_SHARE)))
    log.info("%d pairs to train on, %d to look at; left out: %s", len(kept) - watched, watched, dropped or "none")
    step = len(kept) / watched
    places = {int(number * step) for number in range(watched)}
    return Pairs([pair for place, pair in enumerate(kept) if place not in places], [kept[place] for place in sorted(places)], dropped)


def _own_pairs(request: TrainRequest, base: Base, model: Any, look: Look) -> list[dict[str, Any]]:
    """The writer's answers against the student's own."""
    conversations = [messages for _, messages in read_messages(request.dataset, TRAINING_FILES["direct"])]
    lengths = [len(ids) for ids in base.chat.encode([messages[-1]["content"] for messages in conversations])]
    limit = answer_limit(None, lengths, lengths, may_cut=True)
    answering = Answering(temperature=1.0, min_p=0.0, seed=request.recipe.seed)
    recipe = request.recipe
    who = (base.fingerprint, str(recipe.revision), recipe.precision, adapter_digest(request.start), "own answers", str(limit))
    kept = KeptRows(request.models / ANSWERS_FOLDER, *who, *(field.name for field in fields(Answer)), answering.model_dump_json())
    compute = partial(_ask, base, model.eval(), answering, limit, look)
    items = [messages[:-1] for messages in conversations]
    answers = [Answer(**row) for row in kept.rows(items, BATCHES[base.model.device.type], compute, lambda _done: None)]
    log.info(
        "The student answered %d training questions; %d answers came to no end.", len(answers), sum(not one.finished for one in answers)
    )
    return [
        {
            "prompt": messages[:-1],
            "chosen": messages[-1:],
            "rejected": [{"role": "assistant", "content": answer.text}],
            "rejected_ends": answer.finished,
        }
        for messages, answer in zip(conversations, answers, strict=True)
        if answer.text and answer.text != messages[-1]["content"]
    ]


def _ask(base: Base, model: Any, answering: Answering, limit: int, look: Look, items: Sequence[list[Message]]) -> list[Facts]:
    prompts = [base.chat.prompt(messages) for messages in items]
    return [asdict(answer) for answer in answer_batch(model, base, prompts, [limit] * len(items), answering, look)]


def _read(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """The rows of a file with their line numbers. Raises DatasetError."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            row = json.loads(line)
            turns = [*row["prompt"], *row["chosen"], *row["rejected"]]
            assert len(row["prompt"]) and len(row["chosen"]) == len(row["rejected"]) == 1
            assert all(isinstance(turn["content"], str) and turn["role"] for turn in turns)
        except (ValueError, KeyError, TypeError, AssertionError) as error:
            raise DatasetError(f"{path}:{number} is no pair of the form {FORM}: {type(error).__name__}: {error}.") from error
        rows.append((number, row))
    return rows


def _reason(row: dict[str, Any], heldout: Sequence[str], base: Base) -> str | None:
    """Why a pair may not be trained on."""
    turns = [*row["prompt"], *row["chosen"], *row["rejected"]]
    if any(base.chat.has_special_token(turn["content"]) for turn in turns):
        return "special_token"
    asked = [turn["content"] for turn in row["prompt"] if turn["role"] == "user"]
    return "near_heldout" if any(is_near(question, other) for question in asked for other in heldout) else None


def _pair(source: str, row: dict[str, Any], base: Base) -> PreferencePair:
    prompt = base.chat.prompt(row["prompt"])
    better, worse = (base.chat.answer([*row["prompt"], *row[side]]) for side in ("chosen", "rejected"))
    if not row.get("rejected_ends", True):
        worse = worse[:-1]  # it was cut: that it ends is not what is wrong with it
    return PreferencePair.of(Row(source, prompt + better, len(prompt)), Row(source, prompt + worse, len(prompt)))


def _length_reason(pair: PreferencePair, row: dict[str, Any], max_length: int) -> str | None:
    if max(len(pair.better.ids), len(pair.worse.ids)) > max_length:
        return "too_long"
    lengths = sorted(len(one.ids) - one.answer_start for one in (pair.better, pair.worse))
    return "length_ratio" if row.get("rejected_ends", True) and lengths[1] > LONGEST_RATIO * lengths[0] else None
