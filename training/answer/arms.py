"""The arms of an evaluation or an examination, one after the other on one base: each answers prompts, and tells its loss on rows.

What the same model answered before, in this run or in an earlier one, is taken from files beside the base models.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from training.answer import lm_eval_tasks
from training.answer.generate import Answer, answer_batch
from training.answer.kept_rows import Compute, Facts, KeptRows
from training.answer.row_loss import nats_of_rows
from training.bootstrap import Measured, mean, ratio
from training.contract import GREEDY, LM_EVAL, Answering, ArmRequest, EvaluateRequest, ExamineRequest, Pace
from training.errors import DatasetError
from training.models.model import Base, attached, load_base
from training.processes import best_device, limit_memory
from training.rows.data import Row
from training.signals import StopFlag

log = logging.getLogger(__name__)

BATCHES = {"cuda": 512, "cpu": 64}
"""Prompts answered at once, by kind of device, where the request does not say."""
LOSS_ROWS = 64
"""Rows whose losses are kept together."""
ANSWER_FIELDS = tuple(field.name for field in fields(Answer))
"""The names in kept answers' lines: lines with other names, of another version, are not read."""
DIGEST_BYTES = 2**24
"""Of an adapter, read at once."""
KEPT = "The answers given so far are kept; run the same command again to go on."
ANSWERS_FOLDER = "answers"
"""Beside the base models: answers stay right as long as the model does."""


class SharedBase:
    """The base of a request, loaded once: the arms take turns on it, each with its adapter attached and taken off again."""

    def __init__(self, request: EvaluateRequest | ExamineRequest, stop: StopFlag) -> None:
        stop.raise_if_set(KEPT)
        self._request, self._stop = request, stop
        device = best_device()
        limit_memory(device)
        self.base: Base = load_base(request.base, request.revision, request.precision, request.models, device)

    def prune(self) -> None:
        """Keep the kept answers of all writers from growing for ever; what this run used stays."""
        KeptRows.prune(self._request.models / ANSWERS_FOLDER)

    @contextmanager
    def arm(self, arm: ArmRequest) -> "Iterator[LoadedArm]":
        """The arm, until the block ends. Raises AdapterError, or Stopped when a signal has arrived."""
        self._stop.raise_if_set(KEPT)
        if arm.adapter is None:
            yield LoadedArm(self._request, arm, self.base, self.base.model.eval(), self._stop)
            return
        with attached(self.base, arm.adapter) as model:
            yield LoadedArm(self._request, arm, self.base, model, self._stop)


class LoadedArm:
    """The model of one arm, ready to be asked. `pace` is what it has answered in this process."""

    def __init__(self, request: EvaluateRequest | ExamineRequest, arm: ArmRequest, base: Base, model: Any, stop: StopFlag) -> None:
        self.base, self.model, self._name = base, model, arm.name
        self.pace = Pace(tokens=0, seconds=0.0)
        self._stop, self._batch = stop, request.batch or BATCHES[best_device().type]
        who = (base.fingerprint, str(request.revision), request.precision, adapter_digest(arm.adapter))
        self._kept = partial(KeptRows, request.models / ANSWERS_FOLDER, *who)

    def answers(
        self,
        prompts: Sequence[list[int]],
        limits: Sequence[int],
        say: Callable[[int], None] = lambda _done: None,
        answering: Answering = GREEDY,
    ) -> list[Answer]:
        """Answers of at most so many tokens each, in order. `say` gets the count done.

        Those that need like room are answered together, the longest first. Raises DatasetError for a prompt without room for an answer.
        """
        context = int(self.base.model.config.max_position_embeddings)
        check_room(self._name, [len(prompt) for prompt in prompts], limits, context)
        items = [[min(limit, context - len(prompt)), *prompt] for prompt, limit in zip(prompts, limits, strict=True)]
        how = () if answering == GREEDY else (answering.model_dump_json(),)
        kept, compute = self._kept("answer", *ANSWER_FIELDS, *how), partial(self._answer, answering)
        return [Answer(**row) for row in _by_room(kept, items, self._batch, compute, say)]

    def loss(self, rows: Sequence[Row]) -> Measured:
        """The loss on rows, in nats per answer token."""
        return ratio(*self.nats(rows))

    def nats(self, rows: Sequence[Row]) -> tuple[list[float], list[int]]:
        """The nats of each row's answer, and its tokens."""
        items = [[row.answer_start, *row.ids] for row in rows]
        found = _by_room(self._kept("loss", "nats"), items, LOSS_ROWS, self._nats, lambda _done: None)
        return [row["nats"] for row in found], [len(row.ids) - row.answer_start for row in rows]

    def lm_eval(self, tasks: Sequence[str]) -> dict[str, Measured]:
        """Figures of lm-eval's tasks, each over its own questions."""
        items = [lm_eval_tasks.identity(task) for task in tasks]
        rows = self._kept("lm-eval").rows(items, 1, self._run_task, lambda _done: None)
        return {f"{LM_EVAL}{name}": mean(values) for row in rows for name, values in row.items()}

    def _run_task(self, items: Sequence[list[str]]) -> list[Facts]:
        self._stop.raise_if_set(KEPT)
        return [lm_eval_tasks.run_task(self.model, self.base, task) for _, task, _ in items]

    def _answer(self, answering: Answering, items: Sequence[list[int]]) -> list[Facts]:
        self._stop.raise_if_set(KEPT)
        began = time.monotonic()
        prompts, limits = [item[1:] for item in items], [item[0] for item in items]
        answers = answer_batch(self.model, self.base, prompts, limits, answering, lambda: self._stop.raise_if_set(KEPT))
        tokens, seconds = sum(answer.tokens for answer in answers), time.monotonic() - began
        self.pace = Pace(tokens=self.pace.tokens + tokens, seconds=self.pace.seconds + seconds)
        return [asdict(answer) for answer in answers]

    def _nats(self, items: Sequence[list[int]]) -> Iterator[Facts]:
        self._stop.raise_if_set(KEPT)
        nats = nats_of_rows(self.model, self.base, [Row("", item[1:], item[0]) for item in items])
        return ({"nats": one} for one in nats)


def _by_room(kept: KeptRows, items: list[list[int]], batch: int, compute: Compute, say: Callable[[int], None]) -> list[Facts]:
    """A row for each item, in order; those that need like room are computed together, the longest first."""
    order = sorted(range(len(items)), key=lambda index: -items[index][0] - len(items[index]))
    rows = kept.rows([items[index] for index in order], batch, compute, say)
    found = dict(zip(order, rows, strict=True))
    return [found[index] for index in range(len(items))]


def check_room(arm: str, prompts: Sequence[int], limits: Sequence[int], context: int) -> None:
    """Raise DatasetError when a prompt (its length in tokens) fills the base's context; warn of those that leave less than their limit."""
    if (longest := max(prompts, default=0)) >= context:
        raise DatasetError(
            f"A prompt of arm {arm!r} has {longest} tokens, and the base reads {context} with the answer: nothing could be answered."
            " Ask with fewer or shorter examples, leave the question out, or choose a base with a longer context."
        )
    if short := sum(length + limit > context for length, limit in zip(prompts, limits, strict=True)):
        log.warning("%s: %d of %d prompts leave less room than an answer may take; longer answers are cut there.", arm, short, len(prompts))


def adapter_digest(adapter: Path | None) -> str:
    """SHA-256 (hex) of an adapter's two files; `none` without one."""
    if adapter is None:
        return "none"
    digest = hashlib.sha256()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        with (adapter / name).open("rb") as file:
            while part := file.read(DIGEST_BYTES):
                digest.update(part)
    return digest.hexdigest()
