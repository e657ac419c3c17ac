"""Greedy answers to many prompts, in batches padded on the left."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.model import Base


@dataclass(frozen=True)
class Answer:
    """A generated answer of `tokens` tokens, end token not counted; `finished` says whether the model ended it itself."""

    text: str
    tokens: int
    finished: bool


@torch.inference_mode()
def answer_batch(model: Any, base: Base, prompts: Sequence[list[int]], max_new_tokens: int) -> list[Answer]:
    """One answer to each prompt (token ids), greedily."""
    width = max(len(prompt) for prompt in prompts)
    pad_id, device = base.tokenizer.pad_token_id, base.model.device
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + prompt for prompt in prompts], device=device)
    attention = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    output = model.generate(
        input_ids=ids,
        attention_mask=attention,
        do_sample=False,
        max_new_tokens=max_new_tokens,
        eos_token_id=base.chat.end_id,
        pad_token_id=pad_id,
    )
    return [_answer(row, base) for row in output[:, width:].tolist()]


def _answer(ids: list[int], base: Base) -> Answer:
    finished = base.chat.end_id in ids
    kept = ids[: ids.index(base.chat.end_id)] if finished else ids
    return Answer(text=base.tokenizer.decode(kept, skip_special_tokens=True).strip(), tokens=len(kept), finished=finished)
