"""Frozen weights in FP8 (E4M3): products twice as fast as in bf16 on cards from Hopper on, for an adapter trained in bf16.

Each frozen matrix is cast once, in both directions and layouts (together as large as it was in bf16); inputs and gradients are cast
as they come, one scale a row. A scale is a power of two, so that both directions multiply by the same numbers. Row scales and E4M3
both ways are torchao's recipe (https://github.com/pytorch/ao, float8 rowwise).
"""

from typing import Any, NamedTuple

import torch

LARGEST = 448.0
"""Of E4M3's values."""
SMALLEST_ROW = 2.0**-40
"""A row whose largest value is smaller is cast as if it were this: rows of zeros stay zeros."""
CAPABILITY = (8, 9)
"""The first cards with products of E4M3."""


class Quantised(NamedTuple):
    """A matrix: E4M3 `values` (rows, size) times float32 `scales` (rows, 1)."""

    values: torch.Tensor
    scales: torch.Tensor

    def in_float32(self) -> torch.Tensor:
        """The numbers that are multiplied."""
        return self.values.float() * self.scales


class FrozenLinears(NamedTuple):
    """Weights of linears with the same input, one below the other: (widths, size) for the way forward, (size, widths) for the way back."""

    forward: Quantised
    backward: Quantised
    bias: torch.Tensor | None


def reason_against(device: torch.device) -> str:
    """Why this device has no FP8 products; empty where it has."""
    if device.type != "cuda":
        return f"{device.type} has no products of FP8"
    capability = torch.cuda.get_device_capability(device)
    return "" if capability >= CAPABILITY else f"this card (compute capability {capability[0]}.{capability[1]}) has no products of FP8"


@torch.no_grad()
def freeze_in_float8(decoder: Any) -> None:
    """Cast the frozen weights of all layers of a PEFT model's decoder; in bf16 they are gone, and whoever uses them gets NaN."""
    for layer in decoder.layers:
        attention, mlp = layer.self_attn, layer.mlp
        attention.frozen = {
            "qkv": _freeze(attention.q_proj, attention.k_proj, attention.v_proj),
            "o": _freeze(attention.o_proj),
        }
        mlp.frozen = {"gate_up": _freeze(mlp.gate_proj, mlp.up_proj), "down": _freeze(mlp.down_proj)}


def is_in_float8(decoder: Any) -> bool:
    """Whether its frozen weights were cast."""
    return hasattr(decoder.layers[0].mlp, "frozen")


def _freeze(*layers: Any) -> FrozenLinears:
    linears = [layer.base_layer for layer in layers]
    weight = torch.cat([linear.weight for linear in linears])
    biases = [linear.bias for linear in linears]
    frozen = FrozenLinears(quantise(weight), quantise(weight.T.contiguous()), None if biases[0] is None else torch.cat(biases))
    for linear in linears:
        linear.weight.data = torch.full((1, 1), torch.nan, dtype=weight.dtype, device=weight.device).expand(linear.weight.shape)
    return frozen


def quantise(matrix: torch.Tensor) -> Quantised:
    """Cast a matrix (rows, size), one scale a row."""
    if matrix.is_cuda:
        from training.fit.float8 import kernels

        return Quantised(*kernels.quantise(matrix, LARGEST, SMALLEST_ROW))
    largest = matrix.float().abs().amax(dim=1, keepdim=True).clamp(min=SMALLEST_ROW)
    scales = torch.exp2(torch.ceil(torch.log2(largest / LARGEST)))
    return Quantised((matrix.float() / scales).to(torch.float8_e4m3fn), scales)


def multiply(left: Quantised, right: Quantised, bias: torch.Tensor | None, dtype: torch.dtype) -> torch.Tensor:
    """left right^T + bias, (rows of left, rows of right) in `dtype`, which is bf16 on a GPU. Elsewhere computed in float32."""
    if left.values.is_cuda:
        return torch._scaled_mm(
            left.values,
            right.values.T,
            scale_a=left.scales,
            scale_b=right.scales.T,
            bias=bias,
            out_dtype=dtype,
            use_fast_accum=True,
        )
    product = left.in_float32() @ right.in_float32().T
    return (product if bias is None else product + bias.float()).to(dtype)


def swiglu(gate_up: torch.Tensor) -> tuple[torch.Tensor, Quantised]:
    """silu(gate) x up of (rows, 2 x size), in bf16 and cast, from one pass over memory."""
    if gate_up.is_cuda:
        from training.fit.float8 import kernels

        output, *quantised = kernels.swiglu(gate_up, LARGEST, SMALLEST_ROW)
        return output, Quantised(*quantised)
    gate, up = gate_up.float().chunk(2, dim=1)
    output = (torch.nn.functional.silu(gate) * up).to(gate_up.dtype)
    return output, quantise(output)


def swiglu_backward_(gradient: torch.Tensor, gate_up: torch.Tensor) -> Quantised:
    """The gradients of gate and up, written over `gate_up` in bf16, and cast. `gradient` (rows, size) is that of the output."""
    if gate_up.is_cuda:
        from training.fit.float8 import kernels

        return Quantised(*kernels.swiglu_backward_(gradient, gate_up, LARGEST, SMALLEST_ROW))
    gate, up = gate_up.float().chunk(2, dim=1)
    sigmoid, upstream = torch.sigmoid(gate), gradient.float()
    for_gate = upstream * up * sigmoid * (1 + gate * (1 - sigmoid))
    gate_up.copy_(torch.cat([for_gate, upstream * gate * sigmoid], dim=1))
    return quantise(gate_up)
