"""The two ways to run rows forward: padded (anywhere) and packed (fast, on a GPU). They are the same training.

Which one is taken is decided once, and said.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from training.fit.float8.frozen import freeze_in_float8, is_in_float8, reason_against
from training.fit.fused import FUSABLE, Kernels, choose_kernels, packed_hidden_states
from training.fit.graphs import LAUNCH_BOUND, GraphedPasses
from training.fit.loss import batch_loss, target_loss
from training.fit.optimizer import MasterAdamW
from training.models import attention
from training.models.decoder import causal_model, has_plain_head, has_sliding_window, head
from training.rows.data import Batch, Row, collate
from training.rows.order import micro_batches
from training.rows.packing import Pack, group_by_tokens, pack

log = logging.getLogger(__name__)

DROPOUT = "the adapter has dropout"
TOKENS = 64
"""Packs are a multiple of so many tokens: kernels are compiled anew for a size that is a multiple of 16 after one that is none."""

Run = Callable[[Any], torch.Tensor]
"""Tensors of one forward pass to the sum of their answer tokens' cross-entropy, in nats."""
Learn = Callable[[Any, float, MasterAdamW], torch.Tensor]
"""Tensors of one forward pass, a share, the optimizer: run forward and backward, have the gradients of loss sum x share collected.

Returns loss sum x share.
"""


@dataclass(frozen=True)
class ForwardPath:
    """How rows are divided into forward passes, and run. `group` and `largest` take the micro batch (in rows)."""

    name: str
    make: Callable[[Sequence[Row]], Any]
    """Rows of one forward pass to its tensors, still on the host."""
    run: Run
    learn: Learn
    group: Callable[[Sequence[Row], int], list[list[Row]]]
    largest: Callable[[Row, int], list[Row]]
    """The largest forward pass there could be, made of copies of the longest row."""

    def loss_sum(self, rows: Sequence[Row]) -> torch.Tensor:
        """The sum of the cross-entropy of the answer tokens of `rows` in one forward pass, in nats."""
        return self.run(self.make(rows))


def choose_path(
    model: Any, pad_id: int, max_length: int, device: torch.device, most_tokens: int, recompute: float = 0.0, float8: bool = False
) -> ForwardPath:
    """Packed where the kernel, the model and the head allow it, else padded. `most_tokens` is the largest forward pass there will be.

    With `float8` the frozen weights are cast where the card can multiply them so; else they stay as they are, which is said.
    """
    against = reasons_against_packing(model, device)
    if float8 and (reason := next(iter(against), "") or reason_against(device)):
        log.warning('base_precision = "fp8" in the recipe is left aside: %s.', reason)
    elif float8:
        freeze_in_float8(causal_model(model).get_decoder())
    if against:
        path = padded(model, pad_id, device, recompute)
    else:
        path = packed(model, max_length, device, choose_kernels(device), most_tokens, recompute)
    say_path(path.name, against)
    return path


def say_path(name: str, against: Sequence[str]) -> None:
    """Say which way is taken and why; loudly where a setting of the recipe alone makes a training slow."""
    log.info("Forward path: %s%s", name, f" ({against[0]})" if against else "")
    if list(against) == [DROPOUT]:
        log.warning("dropout in the recipe alone keeps this training from the packed path, which is several times faster. Set it to 0.")


def reasons_against_packing(model: Any, device: torch.device) -> list[str]:
    """Why rows are padded, the most general reason first; empty where they can be packed."""
    kind = causal_model(model).config.model_type
    reasons = {
        f"{device.type} has no variable-length attention": not attention.has_flash(device),
        "float32 has no flash attention": head(model).dtype not in attention.FLASH_TYPES,
        f"model type {kind} has no fused layers here": kind not in FUSABLE,
        "the model has a sliding window": has_sliding_window(model),
        DROPOUT: any(config.lora_dropout for config in model.peft_config.values()),
    }
    return [reason for reason, holds in reasons.items() if holds]


def padded(model: Any, pad_id: int, device: torch.device, recompute: float = 0.0) -> ForwardPath:
    """Rows padded to the longest, `micro batch` of them at a time."""
    if recompute:
        causal_model(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})

    def make(rows: Sequence[Row]) -> Batch:
        return collate(rows, pad_id)

    def run(batch: Batch) -> torch.Tensor:
        return batch_loss(model, batch.to(device))

    return ForwardPath("padded", make, run, learner(run), micro_batches, lambda row, micro_batch: [row] * micro_batch)


def packed(model: Any, max_length: int, device: torch.device, kernels: Kernels, most_tokens: int, recompute: float = 0.0) -> ForwardPath:
    """Rows end to end, up to `micro batch` times `max_length` tokens at a time, through fused layers."""
    assert has_plain_head(model)

    def run(one: Pack) -> torch.Tensor:
        one = one.to(device)
        return target_loss(packed_hidden_states(model, one, kernels, recompute), one.targets, head(model))

    def group(rows: Sequence[Row], micro_batch: int) -> list[list[Row]]:
        return group_by_tokens(rows, micro_batch * max_length)

    def largest(row: Row, micro_batch: int) -> list[Row]:
        return [row] * max(1, micro_batch * max_length // len(row.ids))

    name = f"packed, {kernels.name} kernels{', frozen weights in FP8' if is_in_float8(causal_model(model).get_decoder()) else ''}"
    if device.type == "cuda" and sum(parameter.numel() for parameter in model.parameters()) < LAUNCH_BOUND:
        passes = GraphedPasses(run, max_length, most_tokens, device)
        return ForwardPath(f"{name}, CUDA graphs", passes.make, run, passes, group, largest)
    return ForwardPath(name, partial(pack, multiple=TOKENS), run, learner(run), group, largest)


def learner(run: Run) -> Learn:
    """Forward and backward, one kernel after the other."""

    def learn(one: Any, share: float, optimizer: MasterAdamW) -> torch.Tensor:
        part = run(one) * share
        part.backward()  # type: ignore[no-untyped-call]
        optimizer.collect_gradients()
        return part.detach()

    return learn
