"""One optimizer step, exactly: the loss is the mean over the answer tokens of the whole batch, however it is divided."""

import gc
import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.contract import Recipe
from training.errors import NonFiniteLoss, OutOfMemory
from training.fit.optimizer import MasterAdamW
from training.fit.paths import ForwardPath
from training.processes import Processes
from training.rows.data import Row, answer_tokens
from training.rows.packing import spread

log = logging.getLogger(__name__)

NAMED_ROWS = 8


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did: `loss` in nats per answer token, `tokens` of all processes without padding.

    `stopping` says whether any process was told to stop, `saving` whether one has the time for a checkpoint.
    """

    loss: float
    gradient_norm: float
    tokens: int
    answer_tokens: int
    stopping: bool
    saving: bool


@dataclass(frozen=True)
class Step:
    """One optimizer step to be taken: its `number` (from 0), the rows of all processes, and the rows per forward pass."""

    number: int
    rows: list[Row]
    micro_batch: int
    learning_rate: float


@dataclass(frozen=True)
class PreparedStep:
    """A step with this process's forward passes ready to run, and the tokens and answer tokens of all processes."""

    step: Step
    passes: list[Any]
    tokens: int
    answer_tokens: int


def prepare(path: ForwardPath, step: Step, processes: Processes) -> PreparedStep:
    """Divide this process's rows of a step into forward passes and make their tensors."""
    own = spread(step.rows, processes.count)[processes.rank]
    passes = [path.make(micro) for micro in path.group(own, step.micro_batch)]
    return PreparedStep(step, passes, sum(len(row.ids) for row in step.rows), answer_tokens(step.rows))


def train_step(
    path: ForwardPath,
    optimizer: MasterAdamW,
    prepared: PreparedStep,
    recipe: Recipe,
    processes: Processes,
    *,
    stop: Callable[[], bool] = lambda: False,
    save: bool = False,
    meanwhile: Callable[[], None] = lambda: None,
) -> StepResult:
    """Take one step; `meanwhile` is called while the device works, `stop` at the end. Raises NonFiniteLoss, naming rows, with all weights
    as they were."""
    step, total = prepared.step, prepared.answer_tokens
    seed = recipe.seed * 1_000_003 + step.number
    torch.manual_seed(seed * processes.count + processes.rank)  # for dropout: a resumed run draws the same
    loss_sum = torch.zeros((), device=processes.device)
    for number, one in enumerate(prepared.passes, start=1):
        if number == len(prepared.passes):
            optimizer.sum_as_ready(processes)
        loss_sum += path.learn(one, 1 / total, optimizer)
    optimizer.sum_gradients(processes)
    processes.sum(loss_sum)
    norm_of_step = optimizer.step(step.learning_rate, recipe.max_gradient_norm)
    meanwhile()
    loss, norm = torch.stack([loss_sum, norm_of_step]).tolist()  # the one place where the host waits for the device
    if not math.isfinite(loss):
        raise NonFiniteLoss(_name_bad_rows(path, step.rows))
    if not math.isfinite(norm):
        raise NonFiniteLoss(f"The gradient's norm is {norm} while the loss is {loss:.4f}; rows of the step: {_sources(step.rows)}.")
    stopping, saving = (votes > 0 for votes in processes.total(float(stop()), float(save)))
    return StepResult(loss, norm, prepared.tokens, total, stopping, saving)


def fit_micro_batch(path: ForwardPath, optimizer: MasterAdamW, longest: Row, micro_batch: int, processes: Processes) -> int:
    """Run the largest forward pass there could be, and its backward, halving until memory suffices; the batch stays as it is.

    Returns the micro batch that fits in every process. Raises OutOfMemory when a single row does not.
    """
    while True:
        fits = _fits(path, path.largest(longest, micro_batch))
        optimizer.clear_gradients()
        if processes.total(float(not fits))[0] == 0:
            return micro_batch
        if micro_batch == 1:
            raise OutOfMemory(f"Row {longest.source} ({len(longest.ids)} tokens) does not fit into memory alone. Lower max_length or rank.")
        log.warning("Out of memory with micro_batch = %d; going on with %d and twice the accumulation.", micro_batch, micro_batch // 2)
        micro_batch //= 2


def _fits(path: ForwardPath, rows: list[Row]) -> bool:
    try:
        (path.loss_sum(rows) * 0.0).backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        _free_memory()
        return False
    return True


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@torch.no_grad()
def _name_bad_rows(path: ForwardPath, rows: list[Row]) -> str:
    bad = [row for row in rows if not math.isfinite(float(path.loss_sum([row])))]
    if len(bad) == len(rows):
        return f"The loss is not a number on every row of the step ({_sources(rows)}): the weights have diverged. Lower learning_rate."
    return f"The loss is not a number; rows: {_sources(bad or rows)}. Look at them, and remove or repair them."


def _sources(rows: Sequence[Row]) -> str:
    more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    return ", ".join(row.source for row in rows[:NAMED_ROWS]) + more
