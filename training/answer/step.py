"""One step of decoding: a new token of each row through all layers, in a sixth of the operations that transformers' modules take.

Projections of the same input are one product, and an adapter's part is added to the base's inside its own; what lies between products
is three operations, on a GPU a Triton kernel each. The mathematics is the layers' own, rounded at fewer places. Small models are bound
by the number of operations: see training/LOG.md for what each way reaches.
"""

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch.nn.functional import linear, rms_norm, silu

from training.models.attention import cached_attention
from training.models.decoder import causal_model

FUSABLE = ("llama", "qwen2")
"""Model types whose layers are what `FusedStep` writes down: rotary attention without norms inside, and SwiGLU."""
ADAPTER = "default"

Layer = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one layer: (rows, room, heads, size) each."""


class Kernels(NamedTuple):
    """What lies between matrix products."""

    place: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Layer, torch.Tensor], torch.Tensor]
    """Turn queries and keys to their places, keep keys and values there, and return the queries (rows, heads, size).

    Of (rows, heads x size) queries, keys and values side by side, cosines and sines (rows, size), the cache of a layer, and places (rows,).
    """
    swiglu: Callable[[torch.Tensor], torch.Tensor]
    """silu(gate) x up, of (rows, 2 x size) gate and up side by side."""
    add_norm: Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float], tuple[torch.Tensor, torch.Tensor]]
    """The sum of two (rows, size), and its RMS norm with a weight and an epsilon."""


def choose_kernels(device: torch.device) -> Kernels:
    """Triton's on a GPU, else PyTorch's own operations."""
    if device.type == "cuda" and importlib.util.find_spec("triton"):
        from training.answer import step_kernels as triton_kernels

        return Kernels(triton_kernels.place, triton_kernels.swiglu, triton_kernels.add_norm)
    return Kernels(_place, _swiglu, _add_norm)


class FusedStep:
    """A step of a model for which `can_fuse` holds, against the cache of each layer."""

    def __init__(self, model: Any, cache: Sequence[Layer], kernels: Kernels | None = None) -> None:
        """The linear layers' weights move together in memory, and stay the parameters that they are."""
        decoder = causal_model(model).get_decoder()
        self._embed, self._rotary, self._cache = decoder.embed_tokens, decoder.rotary_emb, cache
        self._kernels = kernels or choose_kernels(causal_model(model).device)
        self._layers = [_FusedLayer.of(layer) for layer in decoder.layers]
        norms = [*(layer.input_layernorm for layer in decoder.layers), decoder.norm]
        self._first_norm, self._next_norms = norms[0], norms[1:]

    def __call__(self, ids: torch.Tensor, places: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """Last hidden states (rows, size) of one token a row; `places` and `seen` (int32) say where it stands and what it sees."""
        hidden = self._embed(ids)
        cosines, sines = (table[:, 0].contiguous() for table in self._rotary(hidden[:, None], position_ids=places[:, None]))
        normed = rms_norm(hidden, hidden.shape[-1:], self._first_norm.weight, self._first_norm.variance_epsilon)
        for layer, kept, next_norm in zip(self._layers, self._cache, self._next_norms, strict=True):
            query = self._kernels.place(layer.qkv(normed), cosines, sines, kept, places)
            attended = cached_attention(query[:, :, None], *kept, seen, layer.scaling).flatten(1)
            hidden, normed = self._add_norm(hidden, layer.o(attended), layer.norm)
            hidden, normed = self._add_norm(hidden, layer.down(self._kernels.swiglu(layer.gate_up(normed))), next_norm)
        return normed

    def _add_norm(self, hidden: torch.Tensor, more: torch.Tensor, norm: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return self._kernels.add_norm(hidden, more, norm.weight, norm.variance_epsilon)


def can_fuse(model: Any) -> bool:
    """Whether the layers are of a known kind, with one plain LoRA adapter at most, whose scaling is the same for one input."""
    config = causal_model(model).config
    if config.model_type not in FUSABLE or config.hidden_act != "silu":
        return False
    return all(_is_plain(group) for layer in causal_model(model).get_decoder().layers for group in _groups(layer))


class Product:
    """Linear layers of one input as one product: x W^T + bias + scaling x A^T B^T, with the layers' rows one below the other."""

    def __init__(self, layers: Sequence[Any]) -> None:
        bases = [getattr(layer, "base_layer", layer) for layer in layers]
        self._weight = _together([base.weight for base in bases])
        self._bias = None if bases[0].bias is None else torch.cat([base.bias for base in bases])
        self._adapter: _Adapter | None = _Adapter.of(layers) if _has_adapter(layers[0]) else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """(rows, size) to (rows, all widths)."""
        output = linear(x, self._weight, self._bias)
        if self._adapter is None:
            return output
        return output.addmm_(x @ self._adapter.low, self._adapter.high, alpha=self._adapter.scaling)


class _Adapter(NamedTuple):
    """Of layers of one input: `low` (size, all ranks), and `high` (all ranks, all widths), zero where a rank is another layer's."""

    low: torch.Tensor
    high: torch.Tensor
    scaling: float

    @classmethod
    def of(cls, layers: Sequence[Any]) -> "_Adapter":
        low = torch.cat([layer.lora_A[ADAPTER].weight for layer in layers]).T
        high = torch.block_diag(*(layer.lora_B[ADAPTER].weight for layer in layers)).T  # type: ignore[no-untyped-call]
        return cls(low, high.contiguous(), layers[0].scaling[ADAPTER])


class _FusedLayer(NamedTuple):
    qkv: Product
    o: Product
    gate_up: Product
    down: Product
    norm: Any
    scaling: float

    @classmethod
    def of(cls, layer: Any) -> "_FusedLayer":
        qkv, o, gate_up, down = map(Product, _groups(layer))
        return cls(qkv, o, gate_up, down, layer.post_attention_layernorm, layer.self_attn.scaling)


def _groups(layer: Any) -> tuple[tuple[Any, ...], ...]:
    """The linear layers of each input."""
    attention, mlp = layer.self_attn, layer.mlp
    return (
        (attention.q_proj, attention.k_proj, attention.v_proj),
        (attention.o_proj,),
        (mlp.gate_proj, mlp.up_proj),
        (mlp.down_proj,),
    )


def _is_plain(layers: Sequence[Any]) -> bool:
    bases = [getattr(layer, "base_layer", layer) for layer in layers]
    if not all(type(base) is torch.nn.Linear for base in bases) or len({base.bias is None for base in bases}) > 1:
        return False
    adapted = [layer for layer in layers if _has_adapter(layer)]
    if not adapted:
        return True
    one = all(layer.active_adapters == [ADAPTER] and not layer.use_dora[ADAPTER] and not layer.merged for layer in adapted)
    bare = all(layer.lora_B[ADAPTER].bias is None for layer in adapted)
    return one and bare and len(adapted) == len(layers) and len({layer.scaling[ADAPTER] for layer in adapted}) == 1


def _has_adapter(layer: Any) -> bool:
    return hasattr(layer, "lora_A") and not layer.disable_adapters


def _together(weights: Sequence[torch.nn.Parameter]) -> torch.Tensor:
    """The weights (width, size) one below the other, as one tensor that shares their memory: moved there unless they lie there."""
    first, size = weights[0], weights[0].shape[1]
    ends = [weight.data_ptr() + weight.nbytes for weight in weights]
    storages = {weight.untyped_storage().data_ptr() for weight in weights}
    if len(storages) > 1 or ends[:-1] != [weight.data_ptr() for weight in weights[1:]]:
        with torch.inference_mode(False):  # they may be trained with afterwards
            joined = torch.cat([weight.detach() for weight in weights])
        for weight, part in zip(weights, torch.split(joined, [len(weight) for weight in weights]), strict=True):
            weight.data = part
    return first.detach().as_strided((sum(map(len, weights)), size), (size, 1))


def _place(qkv: torch.Tensor, cosines: torch.Tensor, sines: torch.Tensor, kept: Layer, places: torch.Tensor) -> torch.Tensor:
    keys, values = kept
    heads, size = keys.shape[2:]
    parts = qkv.view(len(qkv), -1, size)
    rows = torch.arange(len(qkv), device=qkv.device)
    turned = parts[:, :-heads]
    halves = turned.chunk(2, dim=-1)
    turned = turned * cosines[:, None] + torch.cat((-halves[1], halves[0]), dim=-1) * sines[:, None]
    keys[rows, places], values[rows, places] = turned[:, -heads:], parts[:, -heads:]
    return turned[:, :-heads]


def _swiglu(gate_up: torch.Tensor) -> torch.Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return silu(gate) * up


def _add_norm(hidden: torch.Tensor, more: torch.Tensor, weight: torch.Tensor, epsilon: float) -> tuple[torch.Tensor, torch.Tensor]:
    total = hidden + more
    return total, rms_norm(total, weight.shape, weight, epsilon)
