"""Causal attention over rows of different lengths without padding, registered with transformers under the name ATTENTION.

Rows laid end to end (training, and reading prompts), or one new token for each row against a cache (generation). On a GPU both are
PyTorch's variable-length flash attention; elsewhere plain attention with the same result.
"""

from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

TORCH_VERSION = tuple(int(part) for part in torch.__version__.split(".")[:2])
ATTENTION = "ghostwriter_packed"
FLASH_TYPES = (torch.bfloat16, torch.float16)
FLASH_CAPABILITY = (8, 0)
_GROUPED: dict[str, Any] = (
    {"enable_gqa": True} if TORCH_VERSION >= (2, 12) else {}
)  # before, fewer key heads than query heads had not to be asked for


def register() -> str:
    """Make the attention known to transformers; returns its name. No mask is made for it: the bounds of the rows say everything."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, attention)
    return ATTENTION


def has_flash(device: torch.device) -> bool:
    """Whether the variable-length kernel can run here."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY


def attention(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    *,
    bounds: torch.Tensor | None = None,
    longest: int = 0,
    seen: torch.Tensor | None = None,
    scaling: float | None = None,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """What transformers' layers call: with `bounds` and `longest` attention of a pack, with `seen` attention to a cache."""
    if seen is not None:
        return cached_attention(query, key, value, seen, scaling), None
    assert bounds is not None
    return packed_attention(query, key, value, bounds, longest, scaling), None


def packed_attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scaling: float | None
) -> torch.Tensor:
    """Attention of one pack: query (1, heads, tokens, size), key and value with as many heads or fewer, to (1, tokens, heads, size)."""
    if has_flash(query.device) and query.dtype in FLASH_TYPES:
        return _flash(query, key, value, bounds, longest, scaling)
    return _row_by_row(query, key, value, bounds, scaling)


def cached_attention(
    query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, seen: torch.Tensor, scaling: float | None
) -> torch.Tensor:
    """One query a row, (rows, heads, 1, size), against the first `seen` (int32, rows) places of a cache (rows, room, heads or fewer, size).

    Returns (rows, 1, heads, size). On a GPU nothing depends on the values of `seen` on the host, so a CUDA graph can replay it.
    """
    rows, room = keys.shape[:2]
    if has_flash(query.device) and query.dtype in FLASH_TYPES:
        steps = torch.arange(rows + 1, dtype=torch.int32, device=query.device)
        flat_keys, flat_values = keys.flatten(0, 1), values.flatten(0, 1)
        found = torch.ops.aten._flash_attention_forward(
            query[:, :, 0], flat_keys, flat_values, steps, steps * room, 1, room, 0.0, False, False, scale=scaling, seqused_k=seen
        )
        return found[0][:, None]  # type: ignore[no-any-return]
    if query.device.type == "cpu":
        longest = int(seen.max())
        return _grouped(query, keys[:, :longest], values[:, :longest], seen, scaling)
    visible = torch.arange(room, device=query.device) < seen[:, None]
    k, v = keys.transpose(1, 2), values.transpose(1, 2)
    return scaled_dot_product_attention(query, k, v, visible[:, None, None], scale=scaling, enable_gqa=True).transpose(1, 2)


def _grouped(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, seen: torch.Tensor, scaling: float | None) -> torch.Tensor:
    """The same with the query heads that share a key head as rows of one product.

    PyTorch's own repeats the keys for them: 25 times slower in bf16 at 300 places (one Zen core, SmolLM2's shape).
    """
    rows, heads, _, size = query.shape
    k, v = keys.transpose(1, 2), values.transpose(1, 2)
    grouped = query.view(rows, k.shape[1], heads // k.shape[1], size)
    hidden = torch.arange(k.shape[2]) >= seen[:, None, None, None]
    scores = (grouped @ k.transpose(2, 3)).float().mul_(size**-0.5 if scaling is None else scaling).masked_fill_(hidden, -torch.inf)
    return (scores.softmax(dim=-1).to(v.dtype) @ v).view(rows, 1, heads, size)


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scaling: float | None
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = (tensor.squeeze(0).transpose(0, 1) for tensor in (query, key, value))  # an index here would copy its gradient
    output = varlen_attn(q, k, v, bounds, bounds, longest, longest, scale=scaling, window_size=(-1, 0), **_GROUPED)
    assert isinstance(output, torch.Tensor)
    return output[None]


def _row_by_row(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, scaling: float | None) -> torch.Tensor:
    rows = []
    for start, end in pairwise(bounds.tolist()):
        q, k, v = query[:, :, start:end], key[:, :, start:end], value[:, :, start:end]
        rows.append(scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=True))
    return torch.cat(rows, dim=2).transpose(1, 2)
