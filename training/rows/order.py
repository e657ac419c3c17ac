"""Which rows each optimizer step sees: a pure function of seed and step, so a resumed run needs nothing saved to go on."""

from collections.abc import Sequence
from functools import lru_cache

import torch

from training.contract import Recipe
from training.rows.data import Row
from training.rows.packing import spread


def count_steps(rows: int, recipe: Recipe) -> int:
    """Optimizer steps of a whole training; an epoch's last step may have fewer rows than `batch`."""
    steps = recipe.epochs * steps_an_epoch(rows, recipe.batch)
    return min(steps, recipe.max_steps or steps)


def steps_an_epoch(rows: int, batch: int) -> int:
    """Optimizer steps that show each row once."""
    return -(-rows // batch)


def rows_of_step(rows: Sequence[Row], recipe: Recipe, step: int) -> list[Row]:
    """The rows of optimizer step `step` (from 0), over all processes; each epoch has its own shuffle."""
    epoch, position = divmod(step, steps_an_epoch(len(rows), recipe.batch))
    order = _shuffled(len(rows), recipe.seed * 1_000_003 + epoch)
    return [rows[index] for index in order[position * recipe.batch : (position + 1) * recipe.batch]]


@lru_cache(maxsize=4)  # after each step all that are still to come are asked for, an epoch after the other
def _shuffled(rows: int, seed: int) -> tuple[int, ...]:
    """The order of so many rows."""
    return tuple(torch.randperm(rows, generator=torch.Generator().manual_seed(seed)).tolist())


def most_tokens(rows: Sequence[Row], recipe: Recipe, process_count: int) -> int:
    """Tokens of the largest forward pass of the training that a process can have, where rows are laid end to end."""
    steps = range(count_steps(len(rows), recipe))
    shares = (share for step in steps for share in spread(rows_of_step(rows, recipe, step), process_count))
    return min(max(sum(len(row.ids) for row in share) for share in shares), recipe.micro_batch * recipe.max_length)


def micro_batches(rows: Sequence[Row], size: int) -> list[list[Row]]:
    """Rows of a step in groups of at most `size`; neighbours have like lengths, so little is padded."""
    return [list(rows[start : start + size]) for start in range(0, len(rows), size)]
