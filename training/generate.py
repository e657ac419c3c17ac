"""Greedy answers to many prompts at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.decode import cache_bytes, can_decode, decode
from training.loss import causal_model
from training.model import Base

MEMORY_SHARE = 0.7
"""Of a GPU's free memory, what keys and values may take; the rest is for the passes themselves."""


@dataclass(frozen=True)
class Answer:
    """A generated answer of `tokens` tokens, end token not counted; `finished` says whether the model ended it itself."""

    text: str
    tokens: int
    finished: bool


def answer_batch(model: Any, base: Base, prompts: Sequence[list[int]], max_new_tokens: int) -> list[Answer]:
    """One answer to each prompt (token ids), greedily. On a GPU the prompts are halved until their cache fits into its free memory."""
    if len(prompts) > 1 and not _fits(model, prompts, max_new_tokens):
        middle = len(prompts) // 2
        return [answer for part in (prompts[:middle], prompts[middle:]) for answer in answer_batch(model, base, part, max_new_tokens)]
    decoded = (
        decode(model, prompts, max_new_tokens, base.chat.end_id) if can_decode(model) else _generate(model, base, prompts, max_new_tokens)
    )
    return [
        Answer(base.tokenizer.decode(ids, skip_special_tokens=True).strip(), len(ids), finished=len(ids) < max_new_tokens)
        for ids in decoded
    ]


def _fits(model: Any, prompts: Sequence[list[int]], max_new_tokens: int) -> bool:
    if causal_model(model).device.type != "cuda":
        return True
    return cache_bytes(model, prompts, max_new_tokens) < MEMORY_SHARE * torch.cuda.mem_get_info()[0]


@torch.inference_mode()
def _generate(model: Any, base: Base, prompts: Sequence[list[int]], max_new_tokens: int) -> list[list[int]]:
    """transformers' own `generate`, for the models whose layers `decode` does not know; prompts are padded on the left."""
    width = max(len(prompt) for prompt in prompts)
    pad_id, end_id, device = base.tokenizer.pad_token_id, base.chat.end_id, base.model.device
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    attention = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    output = model.generate(
        input_ids=ids, attention_mask=attention, do_sample=False, max_new_tokens=max_new_tokens, eos_token_id=end_id, pad_token_id=pad_id
    )
    rows = output[:, width:].tolist()
    return [row[: row.index(end_id)] if end_id in row else row for row in rows]
