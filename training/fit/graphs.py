"""Forward and backward pass of a small model as CUDA graphs: launching its kernels one by one takes the host longer than they run.

Packs are filled up to a multiple of TOKENS with a row nobody learns from, so that few different graphs are needed. The first
pack is run, and the second captured, at the largest size there will be: the graphs of other sizes then find room in its memory.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from training.fit.optimizer import MasterAdamW
from training.rows.data import IGNORED, Row
from training.rows.packing import Pack, pack

log = logging.getLogger(__name__)

TOKENS, ROWS = 512, 8
LAUNCH_BOUND = 1_000_000_000
"""Models with fewer parameters are launch-bound on a large GPU; larger ones have no memory to spare for a second set of activations."""

Run = Callable[[Pack], torch.Tensor]


@dataclass(frozen=True)
class _Captured:
    graph: Any
    pack: Pack
    share: torch.Tensor
    loss: torch.Tensor


class GraphedPasses:
    """Runs passes as a `training.paths.Learn`. `longest` is the longest row there can be, `most_tokens` the largest pack."""

    def __init__(self, run: Run, longest: int, most_tokens: int, device: torch.device) -> None:
        self._run, self._longest, self._most_tokens, self._device = run, max(longest, TOKENS), most_tokens, device
        self._captured: dict[tuple[int, int], _Captured] = {}
        self._is_warm, self._has_memory = False, True

    def make(self, rows: Sequence[Row]) -> Pack:
        """Rows of one pass as a pack of one of few sizes; of the largest until that has been captured."""
        is_first = self._has_memory and not self._captured
        return fill_up(pack(rows), self._longest, self._most_tokens if is_first else 0)

    @cached_property
    def _stream(self) -> Any:
        return torch.cuda.Stream()  # type: ignore[no-untyped-call]

    @cached_property
    def _pool(self) -> Any:
        return torch.cuda.graph_pool_handle()

    def __call__(self, one: Pack, share: float, optimizer: MasterAdamW) -> torch.Tensor:
        size = one.ids.shape[1], len(one.bounds)
        if not self._is_warm or not self._has_memory or (size not in self._captured and not self._capture(one, optimizer)):
            self._is_warm = True
            return self._plainly(one, share, optimizer)
        captured = self._captured[size]
        for fixed, new in zip(captured.pack.tensors(), one.tensors(), strict=True):
            fixed.copy_(new)
        captured.share.fill_(share)
        captured.graph.replay()
        return captured.loss.clone()

    def _plainly(self, one: Pack, share: float, optimizer: MasterAdamW) -> torch.Tensor:
        """On the stream graphs are captured on, which a capture needs."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = _learn(self._run, one.to(self._device), torch.tensor(share, device=self._device), optimizer)
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def _capture(self, one: Pack, optimizer: MasterAdamW) -> bool:
        fixed, share = one.to(self._device), torch.zeros((), device=self._device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                loss = _learn(self._run, fixed, share, optimizer)
        except torch.OutOfMemoryError:
            self.go_without()
            optimizer.drop_gradients()
            return False
        self._captured[one.ids.shape[1], len(one.bounds)] = _Captured(graph, fixed, share, loss)
        return True

    def go_without(self) -> None:
        """Run everything plainly from here on, and give the graphs' memory back."""
        log.warning("Too little memory for CUDA graphs; going on without.")
        self._has_memory = False
        self._captured.clear()


def fill_up(one: Pack, longest: int, tokens: int = 0) -> Pack:
    """The same rows, rows of padding up to a multiple of TOKENS that is `tokens` or more, empty rows up to a multiple of ROWS.

    No row is longer than `longest`.
    """
    own, rows = one.ids.shape[1], len(one.bounds) - 1
    places = -(-max(own, tokens) // TOKENS) * TOKENS
    more = places - own
    starts = [*range(own + longest, places, longest), places]
    starts += [places] * (-(rows + len(starts)) % ROWS)
    return Pack(
        ids=torch.cat([one.ids, torch.zeros((1, more), dtype=torch.long)], dim=1),
        positions=torch.cat([one.positions, torch.arange(more)[None]], dim=1),
        targets=torch.cat([one.targets, torch.full((more,), IGNORED)]),
        bounds=torch.cat([one.bounds, torch.tensor(starts, dtype=torch.int32)]),
        longest=longest,
    )


def _learn(run: Run, one: Pack, share: torch.Tensor, optimizer: MasterAdamW) -> torch.Tensor:
    loss = run(one) * share
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.collect_gradients()
    return loss.detach()
