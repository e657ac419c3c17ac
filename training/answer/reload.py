"""Does the adapter answer in plain peft and transformers as when it was scored? Nothing of this project's layers or decoding runs here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.answer.choice import Choice
from training.answer.generate import Answer
from training.contract import GREEDY, Answering
from training.models.decoder import causal_model
from training.models.model import Base, load_adapter

TRIED = 10
"""Questions tried, from the shortest answer to the longest."""
NEAR_TIE = {torch.float32: 1e-3, torch.bfloat16: 0.5}
"""How far behind the first choice a token may be, in nats. In bf16 logits from 16 to 32 are multiples of 0.125, and kernels that add in
another order part by a few of those; a wrong or missing weight parts by far more."""
ROUNDED_SHARE, ROUNDED_FAR = 0.005, 4
"""So many tokens of an answer (one at least) may be up to so many times further behind: the largest of thousands of rounding errors is
several times the usual one, while a wrong token, or another weight, is further behind, or behind at many places."""
PLACES_AT_ONCE = 512
"""Places whose logits are made at once, in float32."""


def reloaded_share(
    base: Base,
    adapter: Path,
    prompts: Sequence[list[int]],
    answers: Sequence[Answer],
    answering: Answering = GREEDY,
) -> float:
    """Share of some prompts whose scored answer plain peft gives too: token by token its own choice, or as good as that.

    One forward pass over prompt and answer each, so a near tie that fell otherwise changes nothing after it. The adapter is read from
    its folder onto `base`, unmerged, and taken off again.
    """
    given = sample(prompts, answers, base.chat.end_id)
    model = load_adapter(base, adapter)
    try:
        gaps = [logit_gaps(model, prompt, ids, answering) for prompt, ids in given]
        return sum(answers_again(apart, base.model.dtype) for apart in gaps) / len(given)
    finally:
        model.unload()


def sample(prompts: Sequence[list[int]], answers: Sequence[Answer], end_id: int) -> list[tuple[list[int], list[int]]]:
    """TRIED prompts with their answers, end tokens included, from the shortest answer to the longest."""
    order = sorted(range(len(prompts)), key=lambda index: len(answers[index].ids))
    tried = order[:: max(1, len(prompts) // TRIED)][:TRIED]
    ends = [[end_id] if answers[index].finished else [] for index in tried]
    return [(prompts[index], [*answers[index].ids, *end]) for index, end in zip(tried, ends, strict=True)]


def answers_again(gaps: torch.Tensor, dtype: torch.dtype) -> bool:
    """Whether gaps (nats, one a token) are those of rounding in `dtype` alone."""
    near = NEAR_TIE[dtype]
    rounded = int((gaps > near).sum())
    return float(gaps.max()) <= ROUNDED_FAR * near and rounded <= max(1, int(ROUNDED_SHARE * len(gaps)))


@torch.inference_mode()
def logit_gaps(model: Any, prompt: list[int], given: list[int], answering: Answering = GREEDY) -> torch.Tensor:
    """How far, in nats, each given token is behind the model's choice at its place, made with the same luck.

    Logits are made in float32.
    """
    ids = torch.tensor([[*prompt, *given]], device=model.device)
    hidden = causal_model(model).get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0, len(prompt) - 1 : -1]
    head = causal_model(model).get_output_embeddings().weight.float()
    choice = Choice(answering, [prompt], len(given), len(head), model.device)
    gaps = []
    for first in range(0, len(given), PLACES_AT_ONCE):
        part = slice(first, first + PLACES_AT_ONCE)
        gaps.append(choice.gaps(hidden[part].float() @ head.T, ids[0, len(prompt) :][part], first))
    return torch.cat(gaps)
