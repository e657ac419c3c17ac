"""Cross-entropy of answer tokens, with logits made for those positions only, a slice at a time.

The head is frozen under LoRA, so its gradient is not needed: each slice's gradient towards the hidden states is computed
at once and the logits (positions x vocabulary, in float32) are thrown away. The same function serves training, the
held-out loss, and padded and packed batches alike.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import torch

from training.models.decoder import head, hidden_states
from training.rows.data import IGNORED, Batch

SLICE_VALUES = {"cuda": 2**28, "cpu": 2**25}
"""Logits that exist at the same time, by kind of device: 2**28 are 0.5 GB in bf16, and 2**25 are 0.1 GB in float32."""

SLICE_STEP = 512
"""Slices are a multiple of it, so that their compiled kernel fits all of them."""


def batch_loss(model: Any, batch: Batch) -> torch.Tensor:
    """Sum, in nats, of the cross-entropy of all positions with a label (a scalar in float32)."""
    hidden = hidden_states(model, input_ids=batch.ids, attention_mask=batch.attention)
    return answer_loss(hidden[:, :-1], batch.labels[:, 1:], head(model))


def answer_loss(hidden: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum of the cross-entropy of `labels` (any shape), predicted from `hidden` (that shape, size) by the frozen head."""
    chosen = labels != IGNORED
    return target_loss(hidden[chosen], labels[chosen], weight)


def target_loss(hidden: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Sum of the cross-entropy of `targets` (positions), predicted from `hidden` (positions, size) by the frozen head."""
    loss: torch.Tensor = _FrozenHeadLoss.apply(hidden, targets, weight)  # type: ignore[no-untyped-call]
    return loss


def token_losses(hidden: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """The cross-entropy of each of `targets` (positions, in float32), predicted from `hidden` (positions, size) by the frozen head."""
    losses: torch.Tensor = _FrozenHeadLosses.apply(hidden, targets, weight)  # type: ignore[no-untyped-call]
    return losses


class _FrozenHeadLosses(torch.autograd.Function):
    """Cross-entropy of each position by itself, with its gradient made in the forward pass, a slice at a time."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, targets: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        losses = hidden.new_zeros(len(targets), dtype=torch.float32)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for rows in _slices(hidden, len(targets), weight):
            logits = (hidden[rows] @ weight.T).float()
            labels, logsumexp = targets[rows, None], logits.logsumexp(dim=-1, keepdim=True)
            losses[rows] = (logsumexp - logits.gather(1, labels))[:, 0]
            if gradient is not None:
                shares = (logits - logsumexp).exp()
                shares.scatter_add_(1, labels, shares.new_full(labels.shape, -1.0))
                torch.mm(shares.to(hidden.dtype), weight, out=gradient[rows])
        ctx.save_for_backward(gradient)
        return losses

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype)[:, None], None, None


def _slices(hidden: torch.Tensor, positions: int, weight: torch.Tensor) -> Iterator[slice]:
    """So many positions at a time that their logits are SLICE_VALUES at most."""
    size = max(1, SLICE_VALUES[hidden.device.type] // len(weight))
    size -= size % SLICE_STEP if size > SLICE_STEP else 0
    return (slice(start, start + size) for start in range(0, positions, size))


class _FrozenHeadLoss(torch.autograd.Function):
    """Cross-entropy sum of hidden (positions, size) against labels (positions), with its gradient made in the forward pass."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        for rows in _slices(hidden, len(labels), weight):
            loss, logits_gradient = _slice_loss(hidden.device.type)(hidden[rows] @ weight.T, labels[rows, None])
            total += loss
            if gradient is not None:
                torch.mm(logits_gradient, weight, out=gradient[rows])
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * upstream[0].to(gradient.dtype), None, None


def _loss_and_gradient(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy sum (float32) of logits (positions, vocabulary) against labels (positions, 1), and its gradient in the logits' type.

    A position with the label IGNORED gives nothing to either.
    """
    values, counted = logits.float(), labels != IGNORED
    logsumexp = values.logsumexp(dim=-1, keepdim=True)
    loss = torch.where(counted, logsumexp - values.gather(1, labels.clamp(min=0)), 0.0).sum()
    hit = torch.arange(logits.shape[1], device=logits.device) == labels
    return loss, torch.where(counted, (values - logsumexp).exp() - hit.float(), 0.0).to(logits.dtype)


@cache
def _slice_loss(device_type: str) -> Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Compiled on a GPU, where the passes over the logits cost as much as the products around them."""
    return torch.compile(_loss_and_gradient, dynamic=True) if device_type == "cuda" else _loss_and_gradient
