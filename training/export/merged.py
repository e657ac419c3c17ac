"""The weights of the base with the adapter added in, tensor by tensor, so that a large base is never held twice."""

from collections.abc import Iterator
from typing import Any

import torch

from training.errors import ExportError

ADAPTER, WRAPPED = "lora_", ".base_layer"


def merged_tensors(model: Any) -> Iterator[tuple[str, torch.Tensor]]:
    """Names as without an adapter, and the weights in float32 where one was added, else as they are. `model` is PEFT's, not merged.

    Raises ExportError for an adapter that is more than a sum of products (DoRA).
    """
    if model.peft_config["default"].use_dora:
        raise ExportError("The adapter is a DoRA, which is no plain sum. Export it --as peft.")
    base = model.get_base_model()
    layers = dict(base.named_modules())
    for name, parameter in _own_parameters(base):
        layer = layers[name.rpartition(WRAPPED)[0]] if WRAPPED in name else None
        learned = _delta(layer) if layer is not None and name.endswith(".weight") else None
        yield name.replace(WRAPPED, ""), parameter.detach() if learned is None else parameter.detach().float() + learned


def shapes(base: Any) -> Iterator[tuple[str, torch.Size]]:
    """Names and shapes of the base's own weights, in the order of `merged_tensors`; an adapter may be on it."""
    for name, parameter in _own_parameters(base):
        yield name.replace(WRAPPED, ""), parameter.shape


def _own_parameters(base: Any) -> Iterator[tuple[str, torch.nn.Parameter]]:
    return ((name, parameter) for name, parameter in base.named_parameters() if ADAPTER not in name)


def _delta(layer: Any) -> torch.Tensor:
    a, b = layer.lora_A["default"].weight.detach().float(), layer.lora_B["default"].weight.detach().float()
    return layer.scaling["default"] * (b @ a)  # type: ignore[no-any-return]
