"""Rows laid end to end without padding. They are never cut, and attention keeps them apart (training.attention)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.rows.data import IGNORED, Row


@dataclass(frozen=True)
class Pack:
    """Rows end to end: int64 `ids` and `positions` (each row from 0) of (1, tokens); int32 `bounds` (rows + 1).

    `targets` (tokens) is what each place is to predict: the answer token after it, or IGNORED. `longest` is the longest row in tokens.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor
    bounds: torch.Tensor
    longest: int

    def tensors(self) -> tuple[torch.Tensor, ...]:
        """All four, in this order."""
        return self.ids, self.positions, self.targets, self.bounds

    def to(self, device: torch.device) -> "Pack":
        ids, positions, targets, bounds = (tensor.to(device, non_blocking=True) for tensor in self.tensors())
        return Pack(ids, positions, targets, bounds, self.longest)


def spread(rows: Sequence[Row], count: int) -> list[list[Row]]:
    """Rows in `count` groups of about as many tokens: longest first, each to the group that has fewest."""
    groups: list[list[Row]] = [[] for _ in range(count)]
    tokens = [0] * count
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        least = tokens.index(min(tokens))
        groups[least].append(row)
        tokens[least] += len(row.ids)
    return groups


def group_by_tokens(rows: Sequence[Row], limit: int) -> list[list[Row]]:
    """Rows in few groups of about as many tokens, `limit` at most; a longer row is alone."""
    least = -(-sum(len(row.ids) for row in rows) // limit)
    for count in range(max(1, least), len(rows)):
        groups = spread(rows, count)
        if all(len(group) == 1 or sum(len(row.ids) for row in group) <= limit for group in groups):
            return groups
    return [[row] for row in rows]


def pack(rows: Sequence[Row], multiple: int = 1) -> Pack:
    """Lay rows end to end, and after them places nobody learns from, up to a `multiple` of tokens.

    Nothing predicts a row's first token: it is no answer token, so no row is learned from the one before it.
    """
    lengths = [len(row.ids) for row in rows]
    filler = -sum(lengths) % multiple
    lengths += [filler] if filler else []
    bounds = torch.tensor([0, *lengths]).cumsum(0)
    targets = torch.full((int(bounds[-1]),), IGNORED)
    for row, start in zip(rows, bounds.tolist(), strict=False):
        targets[start + row.answer_start - 1 : start + len(row.ids) - 1] = torch.tensor(row.ids[row.answer_start :])
    return Pack(
        ids=torch.tensor([*(token for row in rows for token in row.ids), *[0] * filler])[None],
        positions=torch.cat([torch.arange(length) for length in lengths])[None],
        targets=targets,
        bounds=bounds.to(torch.int32),
        longest=max(lengths),
    )
