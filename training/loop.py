"""One optimizer step, exactly: the loss is the mean over the answer tokens of the whole batch, however it is divided."""

import gc
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.contract import Recipe
from training.data import Row, answer_tokens
from training.errors import NonFiniteLoss, OutOfMemory
from training.optimizer import MasterAdamW
from training.order import share_of_process
from training.paths import ForwardPath, LossSum
from training.processes import Processes

log = logging.getLogger(__name__)

NAMED_ROWS = 8


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did: `loss` in nats an answer token, `tokens` of all processes without padding.

    `stopping` says whether any process was told to stop.
    """

    loss: float
    gradient_norm: float
    tokens: int
    answer_tokens: int
    stopping: bool


@dataclass(frozen=True)
class Step:
    """One optimizer step to be taken: its `number` (from 0), the rows of all processes, and the rows a forward pass."""

    number: int
    rows: list[Row]
    micro_batch: int
    learning_rate: float


def train_step(path: ForwardPath, optimizer: MasterAdamW, step: Step, recipe: Recipe, processes: Processes, stop: bool) -> StepResult:
    """Take one step. Raises NonFiniteLoss, naming rows, before any weight is changed."""
    own, total = share_of_process(step.rows, processes.rank, processes.count), answer_tokens(step.rows)
    seed = recipe.seed * 1_000_003 + step.number
    torch.manual_seed(seed * processes.count + processes.rank)  # for dropout: a resumed run draws the same
    loss = torch.zeros((), device=processes.device)
    for micro in path.group(own, step.micro_batch):
        part = path.loss_sum(micro) / total
        part.backward()  # type: ignore[no-untyped-call]
        optimizer.collect_gradients()
        loss += part.detach()
    processes.sum([*optimizer.gradients(), loss])
    if not math.isfinite(float(loss)):
        raise NonFiniteLoss(_name_bad_rows(path.loss_sum, step.rows))
    norm = optimizer.step(step.learning_rate, recipe.max_gradient_norm)
    if not math.isfinite(norm):
        raise NonFiniteLoss(f"The gradient's norm is {norm} while the loss is {float(loss):.4f}; rows of the step: {_sources(step.rows)}.")
    return StepResult(float(loss), norm, sum(len(row.ids) for row in step.rows), total, processes.total(float(stop))[0] > 0)


def fit_micro_batch(path: ForwardPath, optimizer: MasterAdamW, longest: Row, micro_batch: int, processes: Processes) -> int:
    """Run the largest forward pass there could be, and its backward, halving until memory suffices; the batch stays as it is.

    Returns the micro batch that fits in every process. Raises OutOfMemory when a single row does not.
    """
    while True:
        fits = _fits(path.loss_sum, path.largest(longest, micro_batch))
        optimizer.drop_gradients()
        if processes.total(float(not fits))[0] == 0:
            return micro_batch
        if micro_batch == 1:
            raise OutOfMemory(f"Row {longest.source} ({len(longest.ids)} tokens) does not fit into memory alone. Lower max_length or rank.")
        log.warning("Out of memory with micro_batch = %d; going on with %d and twice the accumulation.", micro_batch, micro_batch // 2)
        micro_batch //= 2


def _fits(loss_sum: LossSum, rows: list[Row]) -> bool:
    try:
        (loss_sum(rows) * 0.0).backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        _free_memory()
        return False
    return True


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@torch.no_grad()
def _name_bad_rows(loss_sum: LossSum, rows: list[Row]) -> str:
    bad = [row for row in rows if not math.isfinite(float(loss_sum([row])))]
    if len(bad) == len(rows):
        return f"The loss is not a number on every row of the step ({_sources(rows)}): the weights have diverged. Lower learning_rate."
    return f"The loss is not a number; rows: {_sources(bad or rows)}. Look at them, and remove or repair them."


def _sources(rows: Sequence[Row]) -> str:
    more = f" and {len(rows) - NAMED_ROWS} more" if len(rows) > NAMED_ROWS else ""
    return ", ".join(row.source for row in rows[:NAMED_ROWS]) + more
