"""The loss of each row of its own, so that its mean has an interval."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from training.data import Row, collate
from training.loss import head, hidden_states
from training.model import Base

BATCH = 8
"""Rows a forward pass, of like lengths."""
MOST_TOKENS = 160
"""Of a plain text, at its beginning."""


@torch.inference_mode()
def nats_of_rows(model: Any, base: Base, rows: Sequence[Row]) -> list[float]:
    """Cross-entropy, in nats, of the answer tokens of each row together."""
    order = sorted(range(len(rows)), key=lambda index: len(rows[index].ids))
    nats = [0.0] * len(rows)
    for start in range(0, len(rows), BATCH):
        chosen = order[start : start + BATCH]
        batch = collate([rows[index] for index in chosen], base.tokenizer.pad_token_id).to(base.model.device)
        hidden = hidden_states(model, input_ids=batch.ids, attention_mask=batch.attention)
        for place, index in enumerate(chosen):
            start_of_answer, end = rows[index].answer_start, len(rows[index].ids)
            logits = hidden[place, start_of_answer - 1 : end - 1] @ head(model).T
            nats[index] = float(cross_entropy(logits.float(), batch.ids[place, start_of_answer:end], reduction="sum"))
    return nats


def text_row(tokenizer: Any, text: str) -> Row:
    """A plain text as a row whose every token but the first carries loss."""
    return Row("text", tokenizer(text, add_special_tokens=False).input_ids[:MOST_TOKENS], 1)
