"""Causal attention inside each row of a pack, registered with transformers under the name ATTENTION.

On a GPU it is PyTorch's variable-length flash attention; elsewhere a loop over the rows.
"""

from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

ATTENTION = "ghostwriter_packed"
FLASH_TYPES = (torch.bfloat16, torch.float16)
FLASH_CAPABILITY = (8, 0)


def register() -> str:
    """Make the attention known to transformers; returns its name. No mask is made for it: the bounds of the rows say everything."""
    from transformers import AttentionInterface

    AttentionInterface.register(ATTENTION, packed_attention)
    return ATTENTION


def has_flash(device: torch.device) -> bool:
    """Whether the variable-length kernel can run here."""
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= FLASH_CAPABILITY


def packed_attention(
    _module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    _mask: torch.Tensor | None,
    *,
    bounds: torch.Tensor,
    longest: int,
    scaling: float | None = None,
    **_others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of one pack: query (1, heads, tokens, size), key and value with as many heads or fewer, to (1, tokens, heads, size)."""
    if has_flash(query.device) and query.dtype in FLASH_TYPES:
        return _flash(query, key, value, bounds, longest, scaling), None
    return _row_by_row(query, key, value, bounds, scaling), None


def _flash(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, longest: int, scaling: float | None
) -> torch.Tensor:
    from torch.nn.attention.varlen import varlen_attn

    q, k, v = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    grouped = query.shape[1] != key.shape[1]
    output = varlen_attn(q, k, v, bounds, bounds, longest, longest, scale=scaling, window_size=(-1, 0), enable_gqa=grouped)
    assert isinstance(output, torch.Tensor)
    return output[None]


def _row_by_row(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bounds: torch.Tensor, scaling: float | None) -> torch.Tensor:
    rows = []
    for start, end in pairwise(bounds.tolist()):
        q, k, v = query[:, :, start:end], key[:, :, start:end], value[:, :, start:end]
        rows.append(scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=True))
    return torch.cat(rows, dim=2).transpose(1, 2)
