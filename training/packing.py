"""Rows laid end to end without padding. They are never cut, and attention keeps them apart (training.attention)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.data import Row


@dataclass(frozen=True)
class Pack:
    """Rows end to end: int64 `ids` and `positions` (each row from 0) of (1, tokens); int32 `bounds` (rows + 1).

    `targets` are the answer tokens of all rows, and `before` the place in the pack before each; with `before` None there is a target
    for every place, IGNORED where there is nothing to learn. `longest` is the longest row in tokens.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    before: torch.Tensor | None
    targets: torch.Tensor
    bounds: torch.Tensor
    longest: int

    def tensors(self) -> list[torch.Tensor]:
        """All there are, in a fixed order."""
        return [tensor for tensor in (self.ids, self.positions, self.before, self.targets, self.bounds) if tensor is not None]

    def to(self, device: torch.device) -> "Pack":
        before = None if self.before is None else self.before.to(device, non_blocking=True)
        ids, positions, targets, bounds = (
            tensor.to(device, non_blocking=True) for tensor in (self.ids, self.positions, self.targets, self.bounds)
        )
        return Pack(ids, positions, before, targets, bounds, self.longest)


def group_by_tokens(rows: Sequence[Row], limit: int) -> list[list[Row]]:
    """Rows in as few groups of at most `limit` tokens as first-fit-decreasing finds; a longer row is alone."""
    groups: list[list[Row]] = []
    room: list[int] = []
    for row in sorted(rows, key=lambda row: -len(row.ids)):
        index = next((index for index, free in enumerate(room) if free >= len(row.ids)), None)
        if index is None:
            groups.append([row])
            room.append(limit - len(row.ids))
        else:
            groups[index].append(row)
            room[index] -= len(row.ids)
    return groups


def pack(rows: Sequence[Row]) -> Pack:
    """Lay rows end to end. Nothing predicts a row's first token: it is no answer token, so no row is learned from the one before it."""
    ids = torch.tensor([token for row in rows for token in row.ids])
    lengths = [len(row.ids) for row in rows]
    bounds = torch.tensor([0, *lengths]).cumsum(0)
    answers = [torch.arange(start + row.answer_start, start + len(row.ids)) for start, row in zip(bounds.tolist(), rows, strict=False)]
    where = torch.cat(answers)
    return Pack(
        ids=ids[None],
        positions=torch.cat([torch.arange(length) for length in lengths])[None],
        before=where - 1,
        targets=ids[where],
        bounds=bounds.to(torch.int32),
        longest=max(lengths),
    )
