"""Triton kernels of training.answer.step: one program for a row, or for a head of it. Sums are made in float32, and rounded once."""

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]

BLOCK = 1024


def place(
    qkv: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, kept: tuple[torch.Tensor, torch.Tensor], places: torch.Tensor
) -> torch.Tensor:
    """Queries are turned where they lie; keys are turned, and kept with the values in the cache (rows, room, heads, size)."""
    keys, values = kept
    rows, room, heads, size = keys.shape
    queries = qkv.shape[1] // size - 2 * heads
    lanes = triton.next_power_of_2(size // 2)
    grid = (rows, queries + 2 * heads)
    _place[grid](qkv, cosines, sines, keys, values, places, room, queries, heads, size, LANES=lanes, num_warps=1)
    return qkv.view(rows, -1, size)[:, :queries]


def swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    """silu(gate) x up, of gate and up side by side."""
    rows, size = gate_up.shape[0], gate_up.shape[1] // 2
    output = torch.empty((rows, size), dtype=gate_up.dtype, device=gate_up.device)
    _swiglu[rows, triton.cdiv(size, BLOCK)](gate_up, output, size, BLOCK=BLOCK)
    return output


def add_norm(hidden: torch.Tensor, more: torch.Tensor, weight: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum, and its RMS norm."""
    total, normed = torch.empty_like(hidden), torch.empty_like(hidden)
    size = hidden.shape[1]
    _add_norm[len(hidden),](hidden, more, weight, total, normed, size, epsilon, LANES=triton.next_power_of_2(size))
    return total, normed


@triton.jit  # type: ignore[untyped-decorator]
def _place(  # type: ignore[no-untyped-def]
    qkv, cosines, sines, keys, values, places, room, queries, heads, size: tl.constexpr, LANES: tl.constexpr
):
    row, head = tl.program_id(0).to(tl.int64), tl.program_id(1)
    half = size // 2
    lane = tl.arange(0, LANES)
    inside = lane < half
    at = qkv + (row * (queries + 2 * heads) + head) * size + lane
    first = tl.load(at, mask=inside, other=0.0).to(tl.float32)
    second = tl.load(at + half, mask=inside, other=0.0).to(tl.float32)
    kept = (row * room + tl.load(places + row)) * heads
    if head < queries + heads:
        cosine = tl.load(cosines + row * size + lane, mask=inside, other=0.0).to(tl.float32)
        sine = tl.load(sines + row * size + lane, mask=inside, other=0.0).to(tl.float32)
        turned, other = first * cosine - second * sine, second * cosine + first * sine
        if head < queries:  # noqa: SIM108  # Triton's own conditional expression is of constants
            to = at
        else:
            to = keys + (kept + head - queries) * size + lane
        tl.store(to, turned.to(qkv.dtype.element_ty), mask=inside)
        tl.store(to + half, other.to(qkv.dtype.element_ty), mask=inside)
    else:
        to = values + (kept + head - queries - heads) * size + lane
        tl.store(to, first.to(qkv.dtype.element_ty), mask=inside)
        tl.store(to + half, second.to(qkv.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _swiglu(gate_up, output, size, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    lane = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    inside = lane < size
    gate = tl.load(gate_up + row * 2 * size + lane, mask=inside, other=0.0).to(tl.float32)
    up = tl.load(gate_up + row * 2 * size + size + lane, mask=inside, other=0.0).to(tl.float32)
    tl.store(output + row * size + lane, (gate * tl.sigmoid(gate) * up).to(output.dtype.element_ty), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _add_norm(hidden, more, weight, total, normed, size, epsilon, LANES: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, LANES)
    inside = lane < size
    numbers = tl.load(hidden + row * size + lane, mask=inside, other=0.0).to(tl.float32)
    numbers += tl.load(more + row * size + lane, mask=inside, other=0.0).to(tl.float32)
    kept = numbers.to(total.dtype.element_ty)
    tl.store(total + row * size + lane, kept, mask=inside)
    numbers = kept.to(tl.float32)
    scale = tl.rsqrt(tl.sum(numbers * numbers, axis=0) / size + epsilon)
    by = tl.load(weight + lane, mask=inside, other=0.0).to(tl.float32)
    tl.store(normed + row * size + lane, (numbers * scale * by).to(normed.dtype.element_ty), mask=inside)
