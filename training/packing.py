"""Rows laid end to end without padding. They are never cut, and attention keeps them apart (training.attention)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.data import IGNORED, Row


@dataclass(frozen=True)
class Pack:
    """Rows end to end: int64 `ids`, `labels`, `positions` (each row from 0) of (1, tokens); int32 `bounds` (rows + 1).

    `longest` is the longest row in tokens.
    """

    ids: torch.Tensor
    labels: torch.Tensor
    positions: torch.Tensor
    bounds: torch.Tensor
    longest: int

    def to(self, device: torch.device) -> "Pack":
        ids, labels, positions, bounds = (
            tensor.to(device, non_blocking=True) for tensor in (self.ids, self.labels, self.positions, self.bounds)
        )
        return Pack(ids, labels, positions, bounds, self.longest)


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
    """Lay rows end to end. A row's first token has no label, so no row is predicted from the one before it."""
    lengths = [len(row.ids) for row in rows]
    labels = [label for row in rows for label in [IGNORED] * row.answer_start + row.ids[row.answer_start :]]
    return Pack(
        ids=torch.tensor([[token for row in rows for token in row.ids]]),
        labels=torch.tensor([labels]),
        positions=torch.cat([torch.arange(length) for length in lengths])[None],
        bounds=torch.tensor([0, *lengths], dtype=torch.int32).cumsum(0, dtype=torch.int32),
        longest=max(lengths),
    )
