"""What many token lists begin with (a system prompt, worked examples), read by the model once instead of once for each."""

from collections.abc import Sequence
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import torch

from training.models.decoder import causal_model

if TYPE_CHECKING:
    from transformers import DynamicCache

Layer = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of one layer: (rows, heads, places, size) each."""


class SharedPrefix:
    """The first `length` tokens of all of `rows` as keys and values; at least one token of each row is left over."""

    def __init__(self, model: Any, rows: Sequence[list[int]]) -> None:
        self._model = causal_model(model)
        shortest = min(map(len, rows)) - 1
        self.tokens = [same[0] for same in takewhile(lambda column: len(set(column)) == 1, zip(*rows, strict=False))][:shortest]
        self._cache = self._empty_cache()
        if self.tokens:
            ids = torch.tensor([self.tokens], device=self._model.device)
            self._model.get_decoder()(input_ids=ids, past_key_values=self._cache, use_cache=True)

    def read(self, rows: Sequence[list[int]], pad_id: int) -> tuple[torch.Tensor, list[Layer]]:
        """Last hidden states (rows, width, size) of what stands behind the prefix in `rows`, padded on the right, and all layers."""
        rest = [row[len(self.tokens) :] for row in rows]
        width, device = max(map(len, rest)), self._model.device
        ids = torch.tensor([row + [pad_id] * (width - len(row)) for row in rest], device=device)
        seen = torch.tensor([[1] * (len(self.tokens) + len(row)) + [0] * (width - len(row)) for row in rest], device=device)
        places = torch.arange(len(self.tokens), len(self.tokens) + width, device=device)[None].expand(len(rows), -1)
        cache = self._for_each(len(rows))
        found = self._model.get_decoder()(input_ids=ids, attention_mask=seen, position_ids=places, past_key_values=cache, use_cache=True)
        return found.last_hidden_state, _layers(cache)

    def _empty_cache(self) -> "DynamicCache":
        from transformers import DynamicCache  # here, so that models are imported as `load_base` wants them

        return DynamicCache(config=self._model.config)

    def _for_each(self, rows: int) -> "DynamicCache":
        cache = self._empty_cache()
        if self.tokens:
            for number, (keys, values) in enumerate(_layers(self._cache)):
                cache.update(keys.expand(rows, -1, -1, -1), values.expand(rows, -1, -1, -1), number)
        return cache


def _layers(cache: "DynamicCache") -> list[Layer]:
    layers: Any = cache.layers
    return [(layer.keys, layer.values) for layer in layers]
