"""The parts of a causal language model that training and answering call apart: the decoder below the head, and the head."""

from typing import Any

import torch
from torch import nn


def hidden_states(model: Any, **inputs: Any) -> torch.Tensor:
    """Last hidden states (rows, width, size) of the base inside `model`, adapters included, without the head."""
    decoder = causal_model(model).get_decoder()
    hidden: torch.Tensor = decoder(**inputs, use_cache="past_key_values" in inputs).last_hidden_state
    return hidden


def head(model: Any) -> torch.Tensor:
    """The frozen output matrix (vocabulary, size)."""
    weight: torch.Tensor = causal_model(model).get_output_embeddings().weight
    return weight


def causal_model(model: Any) -> Any:
    """The transformers model inside a PEFT model, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def has_sliding_window(model: Any) -> bool:
    """Whether a layer sees only so many tokens before each: whole attention would train and answer as another model."""
    config = causal_model(model).config
    return bool(getattr(config, "use_sliding_window", False)) or "sliding_attention" in (getattr(config, "layer_types", None) or ())


def has_plain_head(model: nn.Module) -> bool:
    """Whether logits are just hidden states times the head: no bias, no soft cap, no scaling (so for Llama, Qwen2 and SmolLM2)."""
    config: Any = causal_model(model).config
    special = ("final_logit_softcapping", "logits_scaling", "logit_scale")
    bias = getattr(causal_model(model).get_output_embeddings(), "bias", None)
    return bias is None and not any(getattr(config, name, None) for name in special)
