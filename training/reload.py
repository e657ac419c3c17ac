"""Does the adapter answer in plain peft and transformers as when it was scored? Nothing of this project's decoding runs here."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from training.base_models import prepare
from training.contract import EvaluateRequest
from training.generate import Answer
from training.model import compute_dtype
from training.processes import best_device

TRIED = 3
"""Questions asked again."""


def reloaded_share(request: EvaluateRequest, adapter: Path, prompts: Sequence[list[int]], answers: Sequence[Answer], end_id: int) -> float:
    """Share of the first prompts whose answer plain `generate` gives again, letter by letter.

    On a GPU, bf16 kernels that round differently may part at a near tie.
    """
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    location, device = prepare(request.base, request.models), best_device()
    tokenizer: Any = AutoTokenizer.from_pretrained(location, revision=request.revision)
    base = AutoModelForCausalLM.from_pretrained(location, revision=request.revision, dtype=compute_dtype(request.precision, device))
    model: Any = PeftModel.from_pretrained(base, str(adapter)).to(device).eval()
    same = 0
    tried = sorted(range(len(prompts)), key=lambda index: answers[index].tokens)[:: max(1, len(prompts) // TRIED)][:TRIED]
    for index in tried:
        ids = torch.tensor([prompts[index]], device=device)
        with torch.inference_mode():
            output = model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=False,
                max_new_tokens=request.max_new_tokens,
                eos_token_id=end_id,
                pad_token_id=end_id,
            )
        text = tokenizer.decode(output[0, ids.shape[1] :], skip_special_tokens=True).strip()
        same += text == answers[index].text
    return same / len(tried)
