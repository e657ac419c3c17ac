"""Attention of one new token a row to a cache against PyTorch's own, row by row, in every layout the cache has."""

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from training.models.attention import cached_attention

ROWS, ROOM, SIZE = 4, 33, 16
SEEN = torch.tensor([1, 7, 20, 33], dtype=torch.int32)


def cache(key_heads: int, dtype: torch.dtype, on_cpu: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values (rows, room, heads, size), in memory as `RowCache` has them on a CPU or a GPU."""
    keys, values = torch.randn(2, ROWS, ROOM, key_heads, SIZE).to(dtype)
    if on_cpu:
        keys, values = (table.transpose(1, 2).contiguous().transpose(1, 2) for table in (keys, values))
    return keys, values


def plainly(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scaling: float | None) -> torch.Tensor:
    """Each row by itself, in float32, with keys and values repeated for the query heads that share them."""
    answers = []
    for row, seen in enumerate(SEEN.tolist()):
        each = query.shape[1] // keys.shape[2]
        key, value = (table[row, :seen].float().transpose(0, 1).repeat_interleave(each, dim=0) for table in (keys, values))
        answers.append(scaled_dot_product_attention(query[row].float(), key, value, scale=scaling))
    return torch.stack(answers).transpose(1, 2)


@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.bfloat16, 2e-2)])
@pytest.mark.parametrize(("heads", "key_heads"), [(6, 2), (4, 1), (3, 3)])
@pytest.mark.parametrize("on_cpu", [True, False], ids=["CPU cache", "GPU cache"])
@pytest.mark.parametrize("scaling", [None, 0.5])
def test_attention_to_a_cache_is_pytorchs_own(
    dtype: torch.dtype, near: float, heads: int, key_heads: int, on_cpu: bool, scaling: float | None
) -> None:
    torch.manual_seed(0)
    keys, values = cache(key_heads, dtype, on_cpu)
    query = torch.randn(ROWS, heads, 1, SIZE).to(dtype)
    found = cached_attention(query, keys, values, SEEN, scaling)
    assert (found.shape, found.dtype) == ((ROWS, 1, heads, SIZE), dtype)
    torch.testing.assert_close(found.float(), plainly(query, keys, values, scaling), rtol=near, atol=near)


def test_what_lies_behind_the_seen_places_changes_nothing() -> None:
    torch.manual_seed(0)
    keys, values = cache(2, torch.float32, on_cpu=True)
    query = torch.randn(ROWS, 6, 1, SIZE)
    before = cached_attention(query, keys, values, SEEN, None)
    for row, seen in enumerate(SEEN.tolist()):
        keys[row, seen:], values[row, seen:] = 1e4, -1e4
    assert torch.equal(cached_attention(query, keys, values, SEEN, None), before)
