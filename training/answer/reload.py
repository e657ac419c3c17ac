"""Does the adapter answer in plain peft and transformers as when it was scored? Nothing of this project's layers or decoding runs here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.answer.generate import Answer
from training.contract import EvaluateRequest
from training.models.base_models import prepare
from training.models.model import compute_dtype
from training.processes import best_device

TRIED = 10
"""Questions tried, from the shortest answer to the longest."""
NEAR_TIE = {torch.float32: 1e-3, torch.bfloat16: 0.5}
"""How far behind the first choice a token may be, in nats. In bf16 logits from 16 to 32 are multiples of 0.125, and kernels that add in
another order part by a few of those; a wrong or missing weight parts by far more."""


def reloaded_share(request: EvaluateRequest, adapter: Path, prompts: Sequence[list[int]], answers: Sequence[Answer], end_id: int) -> float:
    """Share of some prompts whose scored answer plain peft gives too: token by token its own first choice, or as good as that (NEAR_TIE).

    One forward pass over prompt and answer each, so a near tie that fell otherwise changes nothing after it.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    location, device = prepare(request.base, request.models), best_device()
    base = AutoModelForCausalLM.from_pretrained(location, revision=request.revision, dtype=compute_dtype(request.precision, device))
    model: Any = PeftModel.from_pretrained(base, str(adapter)).to(device).eval()
    tried = sorted(range(len(prompts)), key=lambda index: len(answers[index].ids))[:: max(1, len(prompts) // TRIED)][:TRIED]
    given = [[*answers[index].ids, *([end_id] if answers[index].finished else [])] for index in tried]
    return sum(behind(model, prompts[index], ids) <= NEAR_TIE[base.dtype] for index, ids in zip(tried, given, strict=True)) / len(tried)


@torch.inference_mode()
def behind(model: Any, prompt: list[int], given: list[int]) -> float:
    """How far, in nats, the worst of the given tokens is behind the model's first choice at its place."""
    ids = torch.tensor([[*prompt, *given]], device=model.device)
    logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].float()
    chosen = logits.gather(1, ids[0, len(prompt) :, None])
    return float((logits.max(dim=1, keepdim=True).values - chosen).max())
