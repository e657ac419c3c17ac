"""Layers of Llama and Qwen2 models with LoRA, computed in fewer passes over memory than module by module: the same mathematics.

Projections of the same input share one product with their A matrices; the adapter's part is added to the base's output inside the
matrix product; rotary positions and SwiGLU are Liger's Triton kernels where they can run. The idea of one autograd step for
a group of LoRA linears is Unsloth's (https://github.com/unslothai/unsloth, fast_lora).
"""

import importlib.util
import logging
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch.nn.functional import linear, rms_norm, silu
from torch.utils.checkpoint import checkpoint

from training.fit.float8.frozen import FrozenLinears
from training.fit.float8.layers import float8_mlp, float8_projections
from training.models.attention import packed_attention
from training.models.decoder import causal_model
from training.rows.packing import Pack

log = logging.getLogger(__name__)

FUSABLE = ("llama", "qwen2")
"""Model types whose layers are what `packed_hidden_states` writes down: rotary attention without norms inside, SwiGLU, no mask but the
causal one."""


class Kernels(NamedTuple):
    """The thin operations between matrix products."""

    name: str
    rope: Callable[..., tuple[torch.Tensor, torch.Tensor]]
    swiglu: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    add_norm: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]


def choose_kernels(device: torch.device) -> Kernels:
    """Liger's and compiled kernels on a GPU where Liger is installed, else PyTorch's own operations."""
    if device.type != "cuda" or not importlib.util.find_spec("liger_kernel"):
        return plain_kernels()
    from liger_kernel.ops import LigerRopeFunction, LigerSiLUMulFunction  # type: ignore[import-not-found]

    return Kernels("Liger", LigerRopeFunction.apply, LigerSiLUMulFunction.apply, torch.compile(_add_norm, dynamic=True))


def plain_kernels() -> Kernels:
    """PyTorch's own operations, which run anywhere."""
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    return Kernels("plain", apply_rotary_pos_emb, lambda gate, up: silu(gate) * up, _add_norm)


def packed_hidden_states(model: Any, one: Pack, kernels: Kernels, recompute: float = 0.0) -> torch.Tensor:
    """Last hidden states (tokens, size) of a pack, from a PEFT model (one adapter on all linear layers, no dropout, a type in FUSABLE).

    The first layers, `recompute` of all, keep only their input and are run again in the backward pass: when it comes to them, what
    the others kept is free again.
    """
    decoder = causal_model(model).get_decoder()
    hidden = decoder.embed_tokens(one.ids)
    positions = decoder.rotary_emb(hidden, position_ids=one.positions)
    first = round(recompute * len(decoder.layers))
    for layer in decoder.layers[:first]:
        hidden = checkpoint(_whole_layer, layer, kernels, hidden, positions, one, use_reentrant=False, preserve_rng_state=False)
    layers = decoder.layers[first:]
    norms = [*(layer.input_layernorm for layer in layers), decoder.norm]
    normed = _norm(norms[0], hidden)
    for layer, next_norm in zip(layers, norms[1:], strict=True):
        attended = _attention(layer.self_attn, kernels, normed, positions, one)
        hidden, normed = _sum_and_norm(layer.post_attention_layernorm, kernels, hidden, attended)
        hidden, normed = _sum_and_norm(next_norm, kernels, hidden, _mlp(layer.mlp, kernels, normed))
    return normed[0]


def _whole_layer(
    layer: Any, kernels: Kernels, hidden: torch.Tensor, positions: tuple[torch.Tensor, torch.Tensor], one: Pack
) -> torch.Tensor:
    """A layer from residual stream to residual stream."""
    attended = _attention(layer.self_attn, kernels, _norm(layer.input_layernorm, hidden), positions, one)
    hidden, normed = _sum_and_norm(layer.post_attention_layernorm, kernels, hidden, attended)
    return hidden + _mlp(layer.mlp, kernels, normed)


def project(x: torch.Tensor, *layers: Any, frozen: FrozenLinears | None = None) -> tuple[torch.Tensor, ...]:
    """The outputs (..., width) of PEFT LoRA linears for the same input (..., size); of weights in FP8 where these are `frozen` so."""
    if frozen:
        return float8_projections(x, layers, frozen)
    parameters = [
        tensor
        for layer in layers
        for tensor in (layer.base_layer.weight, layer.base_layer.bias, layer.lora_A["default"].weight, layer.lora_B["default"].weight)
    ]
    outputs: tuple[torch.Tensor, ...] = _Projections.apply(x, layers[0].scaling["default"], *parameters)  # type: ignore[no-untyped-call]
    return outputs


def _attention(module: Any, kernels: Kernels, x: torch.Tensor, positions: tuple[torch.Tensor, torch.Tensor], one: Pack) -> torch.Tensor:
    heads = (*x.shape[:-1], -1, module.head_dim)
    frozen = getattr(module, "frozen", {})
    projected = project(x, module.q_proj, module.k_proj, module.v_proj, frozen=frozen.get("qkv"))
    query, key, value = (states.view(heads).transpose(1, 2) for states in projected)
    query, key = kernels.rope(query, key, *positions)
    attended = packed_attention(query, key, value, one.bounds, one.longest, module.scaling)
    (output,) = project(attended.flatten(2), module.o_proj, frozen=frozen.get("o"))
    return output


def _mlp(module: Any, kernels: Kernels, x: torch.Tensor) -> torch.Tensor:
    if hasattr(module, "frozen"):
        return float8_mlp(x, module)
    gate, up = project(x, module.gate_proj, module.up_proj)
    (output,) = project(kernels.swiglu(gate, up), module.down_proj)
    return output


def _norm(module: Any, x: torch.Tensor) -> torch.Tensor:
    return rms_norm(x, module.weight.shape, module.weight, module.variance_epsilon)


def _sum_and_norm(module: Any, kernels: Kernels, hidden: torch.Tensor, more: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return kernels.add_norm(hidden, more, module.weight, module.variance_epsilon)


def _add_norm(hidden: torch.Tensor, more: torch.Tensor, weight: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    """The residual stream with an output added, and its RMS norm: compiled, one pass over memory each way instead of two."""
    total = hidden + more
    return total, rms_norm(total, weight.shape, weight, epsilon)


class _Projections(torch.autograd.Function):
    """LoRA linears of one input: x W^T + bias + scaling x A^T B^T for each _Layer, given as a flat list of its tensors."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, scaling: float, *parameters: torch.Tensor | None) -> tuple[torch.Tensor, ...]:
        flat, layers = x.flatten(0, -2), _by_layer(parameters)
        low = flat @ torch.cat([layer.a for layer in layers]).T
        if scaling != 1.0:
            low *= scaling
        outputs = []
        for layer, part in zip(layers, _parts(low, layers), strict=True):
            outputs.append(linear(flat, layer.weight, layer.bias).addmm_(part, layer.b.T).view(*x.shape[:-1], -1))
        ctx.save_for_backward(x, low, *parameters)
        ctx.scaling = scaling
        return tuple(outputs)

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, low, *parameters = ctx.saved_tensors
        flat, layers = x.flatten(0, -2), _by_layer(parameters)
        gradients = [gradient.flatten(0, -2) for gradient in upstream]
        gradient_low = torch.empty_like(low)
        for gradient, layer, part in zip(gradients, layers, _parts(gradient_low, layers), strict=True):
            torch.mm(gradient, layer.b, out=part)
        if ctx.scaling != 1.0:
            gradient_low *= ctx.scaling
        for_a = torch.split(gradient_low.T @ flat, [len(layer.a) for layer in layers])
        for_parameters: list[torch.Tensor | None] = []
        for gradient, part, a in zip(gradients, _parts(low, layers), for_a, strict=True):
            for_parameters += [None, None, a, gradient.T @ part]
        return (_input_gradient(gradients, gradient_low, layers, x) if ctx.needs_input_grad[0] else None, None, *for_parameters)


def _input_gradient(gradients: list[torch.Tensor], gradient_low: torch.Tensor, layers: "list[_Layer]", x: torch.Tensor) -> torch.Tensor:
    total = gradients[0] @ layers[0].weight
    for gradient, layer in zip(gradients[1:], layers[1:], strict=True):
        total.addmm_(gradient, layer.weight)
    return total.addmm_(gradient_low, torch.cat([layer.a for layer in layers])).view_as(x)


class _Layer(NamedTuple):
    """One LoRA linear: frozen weight (width, size) and bias (width), adapter a (rank, size) and b (width, rank)."""

    weight: torch.Tensor
    bias: torch.Tensor | None
    a: torch.Tensor
    b: torch.Tensor


def _by_layer(parameters: Any) -> list[_Layer]:
    return [_Layer(*parameters[start : start + 4]) for start in range(0, len(parameters), 4)]


def _parts(low: torch.Tensor, layers: list[_Layer]) -> tuple[torch.Tensor, ...]:
    """Columns of (tokens, all ranks) that belong to each layer."""
    return torch.split(low, [len(layer.a) for layer in layers], dim=1)
