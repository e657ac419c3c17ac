"""Decoding of many prompts at once: no padding, every row at its own place in one cache, each step one CUDA graph on a GPU.

transformers' own ways were slower for this work: `generate` is bound by launches, and its continuous batching needs flash-attn's
kernels to read a paged cache row by row (figures in training/LOG.md). The model's layers, adapters included, are transformers'.
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

from training.answer.choice import Choice
from training.answer.prefix import SharedPrefix
from training.answer.step import FusedStep, can_fuse
from training.contract import GREEDY, Answering
from training.models import attention
from training.models.decoder import causal_model, has_plain_head, has_sliding_window, head, hidden_states
from training.signals import Look, no_look

DECODABLE = ("llama", "qwen2", "qwen3")
PREFILL_TOKENS = 16_384
"""Prompt tokens read in one forward pass."""
STEPS_BETWEEN_CHECKS = {"cuda": 32, "cpu": 1}
"""How often the host looks whether every row has ended; on a GPU a look waits for all steps before it."""
WARMUP_STEPS = 3
SECONDS_BETWEEN_LINES = 20.0

log = logging.getLogger(__name__)


class RowCache:
    """Keys and values of rows of different lengths: for each layer two tensors (rows, room, heads, size).

    transformers' layers call `update`; `rows` and `places` (int64) say where the tokens of the current pass belong. On a CPU the places
    of a head lie side by side in memory, as attention's products want them.
    """

    def __init__(self, model: Any, rows: int, room: int) -> None:
        config = causal_model(model).config
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        kind = {"dtype": causal_model(model).dtype, "device": causal_model(model).device}
        heads, layers = config.num_key_value_heads, range(config.num_hidden_layers)
        if kind["device"].type == "cpu":
            self._layers = [torch.zeros((2, rows, heads, room, size), **kind).transpose(2, 3) for _ in layers]
        else:
            self._layers = [torch.zeros((2, rows, room, heads, size), **kind) for _ in layers]
        self.layers = [(layer[0], layer[1]) for layer in self._layers]
        self.rows = self.places = torch.zeros(0, dtype=torch.long)
        self.reading = True

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int, *_others: Any, **_named: Any) -> tuple[torch.Tensor, torch.Tensor]:
        """Keep new keys and values; while reading prompts, attention needs these alone, afterwards the whole cache."""
        keys, values = self._layers[layer]
        keys[self.rows, self.places] = key.transpose(1, 2).flatten(0, 1)
        values[self.rows, self.places] = value.transpose(1, 2).flatten(0, 1)
        return (key, value) if self.reading else (keys, values)

    def fill(self, layer: int, first_row: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Put whole rows, (rows, heads, places, size), at their beginning; what padding leaves there is written over before it is seen."""
        rows, places = slice(first_row, first_row + len(keys)), slice(keys.shape[2])
        for kept, new in zip(self._layers[layer], (keys, values), strict=True):
            kept[rows, places] = new.transpose(1, 2)

    def get_seq_length(self, _layer: int = 0) -> int:
        """What transformers asks of a cache; positions are given by the caller here."""
        return 0


class Decoder:
    """The state of one batch: the next token of each row, how many it has behind it, and whether it has ended."""

    def __init__(self, model: Any, prompts: Sequence[list[int]], max_new_tokens: int, end_id: int, answering: Answering) -> None:
        self._model, self._end_id, self._limit = model, end_id, max_new_tokens
        self._device = causal_model(model).device
        self._choice = Choice(answering, prompts, max_new_tokens, len(head(model)), self._device)
        self._cache = RowCache(model, len(prompts), max(map(len, prompts)) + max_new_tokens)
        self._rows = torch.arange(len(prompts), device=self._device)
        self._lengths = torch.tensor([len(prompt) for prompt in prompts], device=self._device)
        self._tokens = self._read_all(prompts)
        self._ended = self._tokens == end_id
        self._written = torch.full((len(prompts), max_new_tokens), end_id, device=self._device)
        self._written[:, 0] = self._tokens
        self._column = torch.ones(1, dtype=torch.long, device=self._device)

    def run(self, look: Look) -> list[list[int]]:
        """The answer tokens of each row, its end token not included unless it was never reached: then `max_new_tokens` of them."""
        self._cache.reading, self._cache.rows, self._cache.places = False, self._rows, self._lengths
        causal_model(self._model).set_attn_implementation(attention.register())
        self._fused = FusedStep(self._model, self._cache.layers) if can_fuse(self._model) else None
        step = self._graph() if self._device.type == "cuda" and self._limit > WARMUP_STEPS else self._step
        said = time.monotonic()
        for number in range(1, self._limit):
            step()
            if number % STEPS_BETWEEN_CHECKS[self._device.type] == 0:
                look()
                writing = int((~self._ended).sum())
                if not writing:
                    break
                if time.monotonic() - said > SECONDS_BETWEEN_LINES:
                    log.info(
                        "%d of %d answers are still being written: %d tokens, %d at most", writing, len(self._ended), number, self._limit
                    )
                    said = time.monotonic()
        return [_until(row, self._end_id) for row in self._written.tolist()]

    def _read_all(self, prompts: Sequence[list[int]]) -> torch.Tensor:
        """The first answer token of each prompt. On a CPU, where reading takes long, what all prompts begin with is read once."""
        if self._device.type == "cpu":
            prefix = SharedPrefix(self._model, prompts)
            return torch.cat([self._read_after(prefix, start, part) for start, part in _chunks(prompts)])
        causal_model(self._model).set_attn_implementation(attention.register())
        return torch.cat([self._read(start, part) for start, part in _chunks(prompts)])

    def _read(self, first_row: int, prompts: Sequence[list[int]]) -> torch.Tensor:
        """Put prompts, laid end to end, into the cache; returns the first answer token of each."""
        lengths = torch.tensor([len(prompt) for prompt in prompts])
        bounds = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)]).to(self._device)
        ids = torch.tensor([token for prompt in prompts for token in prompt], device=self._device)
        self._cache.places = torch.cat([torch.arange(int(length)) for length in lengths]).to(self._device)
        self._cache.rows = torch.arange(first_row, first_row + len(prompts)).repeat_interleave(lengths).to(self._device)
        hidden = self._hidden(ids[None], self._cache.places[None], bounds=bounds.to(torch.int32), longest=int(lengths.max()))
        return self._first(hidden[0, bounds[1:] - 1], first_row)

    def _read_after(self, prefix: SharedPrefix, first_row: int, prompts: Sequence[list[int]]) -> torch.Tensor:
        """The same with the model's own attention, in padded rows behind a shared prefix."""
        hidden, layers = prefix.read(prompts, pad_id=0)
        for number, (keys, values) in enumerate(layers):
            self._cache.fill(number, first_row, keys, values)
        last = [len(prompt) - len(prefix.tokens) - 1 for prompt in prompts]
        return self._first(hidden[torch.arange(len(prompts)), last], first_row)

    def _step(self) -> None:
        """Append one token to every row; all state stays on the device, in place, so that a graph can replay it."""
        chosen = self._choose(self._next(seen=(self._lengths + 1).to(torch.int32)), slice(None), self._column)
        self._tokens.copy_(torch.where(self._ended, self._end_id, chosen))
        self._ended |= self._tokens == self._end_id
        self._written.index_copy_(1, self._column, self._tokens[:, None])
        self._lengths += 1
        self._column += 1

    def _next(self, seen: torch.Tensor) -> torch.Tensor:
        """Last hidden states (rows, size) of the tokens chosen last."""
        if self._fused:
            return self._fused(self._tokens, self._lengths, seen)
        return self._hidden(self._tokens[:, None], self._lengths[:, None], seen=seen)[:, 0]

    def _graph(self) -> Callable[[], None]:
        """One step as a CUDA graph; what the steps before the capture changed is put back."""
        state = (self._tokens, self._lengths, self._ended, self._written, self._column)
        kept = [tensor.clone() for tensor in state]
        stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARMUP_STEPS):
                self._step()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._step()
        for tensor, before in zip(state, kept, strict=True):
            tensor.copy_(before)
        return graph.replay

    def _hidden(self, ids: torch.Tensor, positions: torch.Tensor, **where: Any) -> torch.Tensor:
        return hidden_states(self._model, input_ids=ids, position_ids=positions, past_key_values=self._cache, **where)

    def _first(self, hidden: torch.Tensor, first_row: int) -> torch.Tensor:
        place = torch.zeros(1, dtype=torch.long, device=self._device)
        return self._choose(hidden, slice(first_row, first_row + len(hidden)), place)

    def _choose(self, hidden: torch.Tensor, rows: slice, place: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = causal_model(self._model).get_output_embeddings()(hidden)
        return self._choice.tokens(logits, rows, place)


def can_decode(model: Any) -> bool:
    """Whether every layer of the model is plain causal attention, with a head that is one matrix product."""
    config = causal_model(model).config
    return config.model_type in DECODABLE and not has_sliding_window(model) and has_plain_head(model)


@torch.inference_mode()
def decode(
    model: Any, prompts: Sequence[list[int]], max_new_tokens: int, end_id: int, answering: Answering = GREEDY, look: Look = no_look
) -> list[list[int]]:
    """Answers (token ids, without the end token) to prompts (token ids). A row without an end has `max_new_tokens` tokens.

    `look` is called every few tokens, and may raise.
    """
    before = causal_model(model).config._attn_implementation
    try:
        return Decoder(model, prompts, max_new_tokens, end_id, answering).run(look)
    finally:
        causal_model(model).set_attn_implementation(before)


def cache_bytes(model: Any, prompts: Sequence[list[int]], max_new_tokens: int) -> int:
    """Memory that decoding these prompts together takes for keys and values."""
    config = causal_model(model).config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    places = len(prompts) * (max(map(len, prompts)) + max_new_tokens)
    return int(2 * places * config.num_hidden_layers * config.num_key_value_heads * size * causal_model(model).dtype.itemsize)


def _chunks(prompts: Sequence[list[int]]) -> list[tuple[int, list[list[int]]]]:
    """Prompts in order, in groups of at most PREFILL_TOKENS (a longer one alone), each with the number of its first."""
    groups: list[tuple[int, list[list[int]]]] = []
    room = 0
    for number, prompt in enumerate(prompts):
        if len(prompt) > room:
            groups.append((number, []))
            room = PREFILL_TOKENS
        groups[-1][1].append(prompt)
        room -= len(prompt)
    return groups


def _until(row: list[int], end_id: int) -> list[int]:
    return row[: row.index(end_id)] if end_id in row else row
