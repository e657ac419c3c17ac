"""Cross-entropy of answer tokens, with logits made for those positions only, a slice at a time.

The head is frozen under LoRA, so its gradient is not needed: each slice's gradient towards the hidden states is computed
at once and the logits (positions x vocabulary, in float32) are thrown away. The same function serves training, the
held-out loss, and padded and packed batches alike.
"""

from typing import Any

import torch
from torch import nn

from training.data import IGNORED, Batch

SLICE = 1024
"""Positions whose logits exist at the same time: 1024 x 152,064 float32 values are 0.6 GB."""


def batch_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Sum, in nats, of the cross-entropy of all positions with a label (a scalar in float32)."""
    hidden = hidden_states(model, input_ids=batch.ids, attention_mask=batch.attention)
    return answer_loss(hidden[:, :-1], batch.labels[:, 1:], head(model))


def hidden_states(model: Any, **inputs: Any) -> torch.Tensor:
    """Last hidden states (rows, width, size) of the base inside `model`, adapters included, without the head."""
    decoder = causal_model(model).get_decoder()
    hidden: torch.Tensor = decoder(**inputs, use_cache=False).last_hidden_state
    return hidden


def head(model: Any) -> torch.Tensor:
    """The frozen output matrix (vocabulary, size)."""
    weight: torch.Tensor = causal_model(model).get_output_embeddings().weight
    return weight


def causal_model(model: Any) -> Any:
    """The transformers model inside a PEFT model, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def answer_loss(hidden: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum of the cross-entropy of `labels` (any shape), predicted from `hidden` (that shape, size) by the frozen head."""
    chosen = labels != IGNORED
    loss: torch.Tensor = _FrozenHeadLoss.apply(hidden[chosen], labels[chosen], weight)  # type: ignore[no-untyped-call]
    return loss


class _FrozenHeadLoss(torch.autograd.Function):
    """Cross-entropy sum of hidden (positions, size) against labels (positions), with its gradient made in the forward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        needs_gradient = ctx.needs_input_grad[0]
        gradient = torch.empty_like(hidden) if needs_gradient else None
        for start in range(0, len(labels), SLICE):
            part, targets = slice(start, start + SLICE), labels[start : start + SLICE, None]
            logits = (hidden[part] @ weight.T).float()
            logits -= logits.logsumexp(dim=-1, keepdim=True)
            total -= logits.gather(1, targets).sum()
            if gradient is not None:
                probabilities = logits.exp_().scatter_add_(1, targets, torch.full_like(targets, -1, dtype=torch.float32))
                gradient[part] = probabilities.to(weight.dtype) @ weight
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype), None, None


def has_plain_head(model: nn.Module) -> bool:
    """Whether logits are just hidden states times the head: no bias, no soft cap, no scaling (so for Llama, Qwen2 and SmolLM2)."""
    config: Any = causal_model(model).config
    special = ("final_logit_softcapping", "logits_scaling", "logit_scale")
    bias = getattr(causal_model(model).get_output_embeddings(), "bias", None)
    return bias is None and not any(getattr(config, name, None) for name in special)
