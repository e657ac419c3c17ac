"""Triton kernels of training.fit.float8.frozen: one program a row, which is read, written in bf16 where it is new, and cast.

A row is cast in a second pass over what the first has just written, which the chip's caches still hold. `most` is the largest value of
E4M3, and a row's largest counts as at least `smallest`.
"""

import torch
import triton  # type: ignore[import-not-found]
import triton.language as tl  # type: ignore[import-not-found]

BLOCK, WARPS = 4096, 8


def quantise(matrix: torch.Tensor, most: float, smallest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """E4M3 values (rows, size) and float32 scales (rows, 1)."""
    matrix = matrix.contiguous()
    values, scales = _empty_cast(matrix)
    _quantise[len(matrix),](matrix, values, scales, matrix.shape[1], most, smallest, BLOCK=BLOCK, num_warps=WARPS)
    return values, scales


def swiglu(gate_up: torch.Tensor, most: float, smallest: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """silu(gate) x up, its E4M3 values and their scales."""
    rows, size = gate_up.shape[0], gate_up.shape[1] // 2
    output = torch.empty((rows, size), dtype=gate_up.dtype, device=gate_up.device)
    values, scales = _empty_cast(output)
    _swiglu[rows,](gate_up, output, values, scales, size, most, smallest, BLOCK=BLOCK, num_warps=WARPS)
    return output, values, scales


def swiglu_backward_(gradient: torch.Tensor, gate_up: torch.Tensor, most: float, smallest: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Writes the gradients of gate and up over them; their E4M3 values and scales."""
    values, scales = _empty_cast(gate_up)
    size = gate_up.shape[1] // 2
    _swiglu_backward[len(gate_up),](gradient.contiguous(), gate_up, values, scales, size, most, smallest, BLOCK=BLOCK, num_warps=WARPS)
    return values, scales


def _empty_cast(like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    scales = torch.empty((len(like), 1), dtype=torch.float32, device=like.device)
    return torch.empty_like(like, dtype=torch.float8_e4m3fn), scales


@triton.jit
def _scale(largest, most, smallest):  # type: ignore[no-untyped-def]
    return tl.exp2(tl.ceil(tl.log2(tl.maximum(tl.max(largest, axis=0), smallest) / most)))


@triton.jit  # type: ignore[untyped-decorator]
def _cast_row(source, values, row, size: tl.constexpr, scale, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    for start in range(0, size, BLOCK):
        places = start + tl.arange(0, BLOCK)
        inside = places < size
        numbers = tl.load(source + row * size + places, mask=inside, other=0.0).to(tl.float32)
        tl.store(values + row * size + places, (numbers / scale).to(tl.float8e4nv), mask=inside)


@triton.jit  # type: ignore[untyped-decorator]
def _quantise(source, values, scales, size: tl.constexpr, most, smallest, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, size, BLOCK):
        places = start + tl.arange(0, BLOCK)
        numbers = tl.load(source + row * size + places, mask=places < size, other=0.0).to(tl.float32)
        largest = tl.maximum(largest, tl.abs(numbers))
    scale = _scale(largest, most, smallest)
    tl.store(scales + row, scale)
    _cast_row(source, values, row, size, scale, BLOCK)


@triton.jit  # type: ignore[untyped-decorator]
def _swiglu(gate_up, output, values, scales, size: tl.constexpr, most, smallest, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, size, BLOCK):
        places = start + tl.arange(0, BLOCK)
        inside = places < size
        gate = tl.load(gate_up + row * 2 * size + places, mask=inside, other=0.0).to(tl.float32)
        up = tl.load(gate_up + row * 2 * size + size + places, mask=inside, other=0.0).to(tl.float32)
        product = gate * tl.sigmoid(gate) * up
        tl.store(output + row * size + places, product.to(output.dtype.element_ty), mask=inside)
        largest = tl.maximum(largest, tl.abs(product))
    scale = _scale(largest, most, smallest)
    tl.store(scales + row, scale)
    tl.debug_barrier()  # each thread's part of the row is written before others read it
    _cast_row(output, values, row, size, scale, BLOCK)


@triton.jit  # type: ignore[untyped-decorator]
def _swiglu_backward(gradient, gate_up, values, scales, size: tl.constexpr, most, smallest, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]
    row = tl.program_id(0).to(tl.int64)
    largest = tl.zeros([BLOCK], dtype=tl.float32)
    for start in range(0, size, BLOCK):
        places = start + tl.arange(0, BLOCK)
        inside = places < size
        gates = gate_up + row * 2 * size + places
        gate = tl.load(gates, mask=inside, other=0.0).to(tl.float32)
        up = tl.load(gates + size, mask=inside, other=0.0).to(tl.float32)
        upstream = tl.load(gradient + row * size + places, mask=inside, other=0.0).to(tl.float32)
        sigmoid = tl.sigmoid(gate)
        for_gate = upstream * up * sigmoid * (1 + gate * (1 - sigmoid))
        for_up = upstream * gate * sigmoid
        tl.store(gates, for_gate.to(gate_up.dtype.element_ty), mask=inside)
        tl.store(gates + size, for_up.to(gate_up.dtype.element_ty), mask=inside)
        largest = tl.maximum(largest, tl.maximum(tl.abs(for_gate), tl.abs(for_up)))
    scale = _scale(largest, most, smallest)
    tl.store(scales + row, scale)
    tl.debug_barrier()
    _cast_row(gate_up, values, row, 2 * size, scale, BLOCK)
