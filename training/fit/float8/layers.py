"""LoRA linears over frozen weights in FP8, as steps of autograd: the adapter's part stays in bf16 throughout."""

from collections.abc import Sequence
from typing import Any

import torch

from training.fit.float8.frozen import FrozenLinears, multiply, quantise, swiglu, swiglu_backward_

Gradients = tuple[torch.Tensor | None, ...]


def float8_projections(x: torch.Tensor, layers: Sequence[Any], frozen: FrozenLinears) -> tuple[torch.Tensor, ...]:
    """The outputs (..., width) of PEFT LoRA linears for the same input (..., size)."""
    adapters = [tensor for layer in layers for tensor in adapter(layer)]
    outputs: tuple[torch.Tensor, ...] = _Projections.apply(x, frozen, scaling(layers[0]), *adapters)  # type: ignore[no-untyped-call]
    return outputs


def float8_mlp(x: torch.Tensor, module: Any) -> torch.Tensor:
    """down(silu(gate(x)) x up(x)) of a SwiGLU module whose three linears have an adapter; x (..., size)."""
    layers = (module.gate_proj, module.up_proj, module.down_proj)
    adapters = [tensor for layer in layers for tensor in adapter(layer)]
    output: torch.Tensor = _Mlp.apply(x, module.frozen, scaling(layers[0]), *adapters)  # type: ignore[no-untyped-call]
    return output


def adapter(layer: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """A (rank, size) and B (width, rank) of a PEFT LoRA linear."""
    return layer.lora_A["default"].weight, layer.lora_B["default"].weight


def scaling(layer: Any) -> float:
    """alpha / rank of a PEFT LoRA linear."""
    factor: float = layer.scaling["default"]
    return factor


class _Projections(torch.autograd.Function):
    """x W^T + bias + scaling x A^T B^T for each linear, whose A and B come in turn."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, frozen: FrozenLinears, scale: float, *adapters: torch.Tensor) -> tuple[torch.Tensor, ...]:
        flat = x.flatten(0, -2)
        low = _scaled(flat @ torch.cat(adapters[::2]).T, scale)
        output = multiply(quantise(flat), frozen.forward, frozen.bias, x.dtype)
        _add_adapters(output, low, adapters)
        ctx.save_for_backward(x, low, *adapters)
        ctx.frozen, ctx.scale = frozen, scale
        return tuple(part.contiguous().view(*x.shape[:-1], -1) for part in _columns(output, adapters[1::2]))

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Gradients:
        x, low, *adapters = ctx.saved_tensors
        gradient = torch.cat([each.flatten(0, -2) for each in upstream], dim=1)
        for_low = _low_gradient(gradient, adapters, ctx.scale)
        for_adapters = _adapter_gradients(gradient, x.flatten(0, -2), low, for_low, adapters)
        for_x = None
        if ctx.needs_input_grad[0]:
            for_x = multiply(quantise(gradient), ctx.frozen.backward, None, x.dtype)
            for_x = for_x.addmm_(for_low, torch.cat(adapters[::2])).view_as(x)
        return for_x, None, None, *for_adapters


class _Mlp(torch.autograd.Function):
    """A whole SwiGLU module, so that what is cast between its products is cast where it is made."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, frozen: dict[str, FrozenLinears], scale: float, *adapters: torch.Tensor) -> torch.Tensor:
        flat, outer, inner = x.flatten(0, -2), adapters[:4], adapters[4:]
        low = _scaled(flat @ torch.cat(outer[::2]).T, scale)
        gate_up = multiply(quantise(flat), frozen["gate_up"].forward, frozen["gate_up"].bias, x.dtype)
        _add_adapters(gate_up, low, outer)
        hidden, cast = swiglu(gate_up)
        low_down = _scaled(hidden @ inner[0].T, scale)
        output = multiply(cast, frozen["down"].forward, frozen["down"].bias, x.dtype)
        _add_adapters(output, low_down, inner)
        ctx.save_for_backward(x, low, gate_up, hidden, low_down, *adapters)
        ctx.frozen, ctx.scale = frozen, scale
        return output.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> Gradients:
        x, low, gate_up, hidden, low_down, *adapters = ctx.saved_tensors
        flat, outer, inner = x.flatten(0, -2), adapters[:4], adapters[4:]
        gradient = upstream[0].flatten(0, -2)
        for_low_down = _low_gradient(gradient, inner, ctx.scale)
        for_inner = _adapter_gradients(gradient, hidden, low_down, for_low_down, inner)
        for_hidden = multiply(quantise(gradient), ctx.frozen["down"].backward, None, x.dtype).addmm_(for_low_down, inner[0])
        cast = swiglu_backward_(for_hidden, gate_up)
        for_low = _low_gradient(gate_up, outer, ctx.scale)
        for_outer = _adapter_gradients(gate_up, flat, low, for_low, outer)
        for_x = None
        if ctx.needs_input_grad[0]:
            for_x = multiply(cast, ctx.frozen["gate_up"].backward, None, x.dtype)
            for_x = for_x.addmm_(for_low, torch.cat(outer[::2])).view_as(x)
        return for_x, None, None, *for_outer, *for_inner


def _scaled(low: torch.Tensor, scale: float) -> torch.Tensor:
    return low if scale == 1.0 else low.mul_(scale)


def _add_adapters(output: torch.Tensor, low: torch.Tensor, adapters: Sequence[torch.Tensor]) -> None:
    """Add low B^T of each linear to its columns of `output` (rows, widths)."""
    for part, columns, b in zip(_ranks(low, adapters), _columns(output, adapters[1::2]), adapters[1::2], strict=True):
        columns.addmm_(part, b.T)


def _low_gradient(gradient: torch.Tensor, adapters: Sequence[torch.Tensor], scale: float) -> torch.Tensor:
    """Gradient (rows, ranks) of x A^T from that of all outputs (rows, widths)."""
    bs = adapters[1::2]
    low = torch.empty((len(gradient), sum(b.shape[1] for b in bs)), dtype=gradient.dtype, device=gradient.device)
    for part, columns, b in zip(_ranks(low, adapters), _columns(gradient, bs), bs, strict=True):
        torch.mm(columns, b, out=part)
    return _scaled(low, scale)


def _adapter_gradients(
    gradient: torch.Tensor, x: torch.Tensor, low: torch.Tensor, for_low: torch.Tensor, adapters: Sequence[torch.Tensor]
) -> list[torch.Tensor]:
    """Gradients of A and B of each linear, in turn."""
    for_a = torch.split(for_low.T @ x, [len(a) for a in adapters[::2]])
    pairs = zip(for_a, _columns(gradient, adapters[1::2]), _ranks(low, adapters), strict=True)
    return [each for a, columns, part in pairs for each in (a, columns.T @ part)]


def _ranks(low: torch.Tensor, adapters: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Columns of (rows, all ranks) that belong to each linear."""
    return torch.split(low, [len(a) for a in adapters[::2]], dim=1)


def _columns(output: torch.Tensor, bs: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Columns of (rows, all widths) that belong to each linear."""
    return torch.split(output, [len(b) for b in bs], dim=1)
