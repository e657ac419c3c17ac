"""Answers to many prompts at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.answer.choice import Choice
from training.answer.decode import cache_bytes, can_decode, decode
from training.contract import GREEDY, Answering
from training.models.decoder import causal_model, head
from training.models.model import Base
from training.processes import free_bytes
from training.signals import Look, no_look

MEMORY_SHARE = 0.7
"""Of a GPU's free memory, what keys and values may take; the rest is for the passes themselves."""


@dataclass(frozen=True)
class Answer:
    """A generated answer: `ids` without the end token; `finished` says whether the model ended it itself."""

    text: str
    ids: list[int]
    finished: bool

    @property
    def tokens(self) -> int:
        return len(self.ids)


def answer_batch(
    model: Any,
    base: Base,
    prompts: Sequence[list[int]],
    limits: Sequence[int],
    answering: Answering = GREEDY,
    look: Look = no_look,
) -> list[Answer]:
    """One answer to each prompt (token ids) of at most so many tokens. On a GPU the prompts are halved until their cache fits.

    `look` is called every few tokens, and may raise.
    """
    most = max(limits)
    if len(prompts) > 1 and not _fits(model, prompts, most):
        halves = slice(len(prompts) // 2), slice(len(prompts) // 2, None)
        return [answer for half in halves for answer in answer_batch(model, base, prompts[half], limits[half], answering, look)]
    looked_at = most + 1  # whether an answer of `most` tokens ends there is seen at the token after it
    if can_decode(model):
        decoded = decode(model, prompts, looked_at, base.chat.end_id, answering, look)
    else:
        decoded = _generate(model, base, prompts, looked_at, answering, look)
    return [_answer(base, ids, limit) for ids, limit in zip(decoded, limits, strict=True)]


def _answer(base: Base, ids: list[int], limit: int) -> Answer:
    kept = ids[:limit]
    return Answer(base.tokenizer.decode(kept, skip_special_tokens=True).strip(), kept, finished=len(ids) <= limit)


def _fits(model: Any, prompts: Sequence[list[int]], max_new_tokens: int) -> bool:
    if causal_model(model).device.type != "cuda":
        return True
    return cache_bytes(model, prompts, max_new_tokens) < MEMORY_SHARE * free_bytes(causal_model(model).device)


@torch.inference_mode()
def _generate(
    model: Any, base: Base, prompts: Sequence[list[int]], max_new_tokens: int, answering: Answering = GREEDY, look: Look = no_look
) -> list[list[int]]:
    """transformers' own `generate`, for the models whose layers `decode` does not know; prompts are padded on the left."""
    from transformers import LogitsProcessorList

    width = max(len(prompt) for prompt in prompts)
    pad_id, end_id, device = base.tokenizer.pad_token_id, base.chat.end_id, base.model.device
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    attention = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    choice = Choice(answering, prompts, max_new_tokens, len(head(model)), device)

    def only_the_chosen(written: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        look()
        place = torch.tensor([written.shape[1] - width], device=device)
        return torch.zeros_like(logits).scatter_(1, choice.tokens(logits, slice(None), place)[:, None], 1.0)

    output = model.generate(
        input_ids=ids,
        attention_mask=attention,
        do_sample=False,
        logits_processor=LogitsProcessorList([only_the_chosen]),
        max_new_tokens=max_new_tokens,
        eos_token_id=end_id,
        pad_token_id=pad_id,
    )
    rows = output[:, width:].tolist()
    return [row[: row.index(end_id)] if end_id in row else row for row in rows]
