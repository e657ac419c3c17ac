"""Does the adapter answer in plain peft and transformers as when it was scored? Nothing of this project's layers or decoding runs here."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from training.answer.choice import Choice
from training.answer.generate import Answer
from training.contract import GREEDY, Answering
from training.models.decoder import causal_model
from training.models.model import Base, load_adapter

log = logging.getLogger(__name__)

TRIED = 10
"""Questions tried, from the shortest answer to the longest."""
ROUNDINGS = 6
"""How many times as far behind the first choice a token may be as two ways of computing the same part on average: the largest of
thousands is four or five times the usual one."""
LEAST = {torch.float32: 1e-3, torch.bfloat16: 0.25}
MOST = 5.0
"""Bounds of what is taken for rounding, in nats; a wrong token is further behind."""
PLACES_AT_ONCE = 512
"""Places whose logits are made at once, in float32."""


class Compared(NamedTuple):
    """For each token of an answer, in nats: its `gap` to the model's choice with the same luck (0 when
    it is that), and its `lead` over all others without any luck (negative when it is not the likeliest).
    """

    gap: torch.Tensor
    lead: torch.Tensor


def reloaded_share(
    base: Base,
    adapter: Path,
    prompts: Sequence[list[int]],
    answers: Sequence[Answer],
    answering: Answering = GREEDY,
) -> float:
    """Share of some prompts whose scored answer plain peft gives too: token by token its own choice, or one that rounding may put there.

    How much that is depends on the size of the logits, so it is measured: two kinds of attention compute the same, and what they
    differ by is rounding. One forward pass over prompt and answer each, so a near tie that fell otherwise changes nothing after it.
    The adapter is read from its folder onto `base`, unmerged, and taken off again.
    """
    answered = sample(prompts, answers, base.chat.end_id)
    model = load_adapter(base, adapter)
    try:
        first = compare(model, answered, "sdpa", answering)
        second = compare(model, answered, "eager", answering)
    finally:
        model.unload()
    allowed = tolerance(first, second, base.model.dtype)
    furthest = max(float(each.gap.max()) for each in first)
    log.info("Reload check: up to %.3f nats are rounding here; tokens are at most %.3f behind.", allowed, furthest)
    return sum(float(each.gap.max()) <= allowed for each in first) / len(first)


def sample(prompts: Sequence[list[int]], answers: Sequence[Answer], end_id: int) -> list[tuple[list[int], list[int]]]:
    """TRIED prompts with their answers, end tokens included, from the shortest answer to the longest."""
    order = sorted(range(len(prompts)), key=lambda index: len(answers[index].ids))
    tried = order[:: max(1, len(prompts) // TRIED)][:TRIED]
    ends = [[end_id] if answers[index].finished else [] for index in tried]
    return [(prompts[index], [*answers[index].ids, *end]) for index, end in zip(tried, ends, strict=True)]


def tolerance(first: Sequence[Compared], second: Sequence[Compared], dtype: torch.dtype) -> float:
    """How far behind, in nats, rounding may put a token, from the same answers compared in two ways."""
    leads = [torch.cat([each.lead for each in compared]) for compared in (first, second)]
    usual = float((leads[0] - leads[1]).square().mean().sqrt())
    return min(max(ROUNDINGS * usual, LEAST[dtype]), MOST)


def compare(model: Any, answered: Sequence[tuple[list[int], list[int]]], attention: str, answering: Answering = GREEDY) -> list[Compared]:
    """The tokens of each answer, behind its prompt, with what transformers' own layers choose there; logits are made in float32."""
    causal = causal_model(model)
    before = causal.config._attn_implementation
    causal.set_attn_implementation(attention)
    try:
        head = causal.get_output_embeddings().weight.float()
        return [_compare(causal, head, prompt, ids, answering) for prompt, ids in answered]
    finally:
        causal.set_attn_implementation(before)


@torch.inference_mode()
def _compare(causal: Any, head: torch.Tensor, prompt: list[int], answered: list[int], answering: Answering) -> Compared:
    ids = torch.tensor([[*prompt, *answered]], device=causal.device)
    hidden = causal.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state[0, len(prompt) - 1 : -1]
    choice = Choice(answering, [prompt], len(answered), len(head), causal.device)
    gaps, leads = [], []
    for first in range(0, len(answered), PLACES_AT_ONCE):
        part = slice(first, first + PLACES_AT_ONCE)
        logits, chosen = hidden[part].float() @ head.T, ids[0, len(prompt) :][part]
        gaps.append(choice.gaps(logits, chosen, first).cpu())
        own = logits.gather(1, chosen[:, None])[:, 0]
        others = logits.scatter(1, chosen[:, None], -torch.inf).amax(dim=1)
        leads.append((own - others).cpu())
    return Compared(torch.cat(gaps), torch.cat(leads))
