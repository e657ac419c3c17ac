"""The loss of each row of its own, so that its mean has an interval."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from training.answer.prefix import SharedPrefix
from training.models.decoder import head
from training.models.model import Base
from training.rows.data import Row

BATCH = 8
"""Rows per forward pass, of like lengths."""
MOST_TOKENS = 160
"""Of a plain text, at its beginning."""


@torch.inference_mode()
def nats_of_rows(model: Any, base: Base, rows: Sequence[Row]) -> list[float]:
    """Cross-entropy, in nats, of the answer tokens of each row together."""
    prefix = SharedPrefix(model, [row.ids[: row.answer_start] for row in rows])
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    nats = [0.0] * len(rows)
    for start in range(0, len(rows), BATCH):
        chosen = order[start : start + BATCH]
        hidden, _ = prefix.read([rows[index].ids for index in chosen], base.tokenizer.pad_token_id)
        sums = []
        for place, index in enumerate(chosen):
            row, before = rows[index], len(prefix.tokens)
            answer = torch.tensor(row.ids[row.answer_start :], device=hidden.device)
            logits = hidden[place, row.answer_start - before - 1 :][: len(answer)] @ head(model).T
            sums.append(cross_entropy(logits.float(), answer, reduction="sum"))
        for index, value in zip(chosen, torch.stack(sums).tolist(), strict=True):  # the one wait of a pass
            nats[index] = value
    return nats


def text_row(tokenizer: Any, text: str) -> Row:
    """A plain text as a row whose every token but the first carries loss."""
    return Row("text", tokenizer(text, add_special_tokens=False).input_ids[:MOST_TOKENS], 1)
