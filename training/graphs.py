"""Forward and backward pass of a small model as CUDA graphs: launching its kernels one by one takes the host longer than they run.

Packs are filled up to a multiple of TOKENS with a row nobody learns from, so that few different graphs are needed. The first
pack of a size runs as it is, the second is captured, the others are replayed.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from training.data import IGNORED
from training.optimizer import MasterAdamW
from training.packing import Pack

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
    """Does what `training.paths.learn` does. `longest` is the longest row there can be."""

    def __init__(self, run: Run, longest: int, device: torch.device) -> None:
        self._run, self._longest, self._device = run, max(longest, TOKENS), device
        self._stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.graph_pool_handle()
        self._captured: dict[tuple[int, int], _Captured | None] = {}
        self._has_memory = True

    def __call__(self, one: Pack, share: float, optimizer: MasterAdamW) -> torch.Tensor:
        pack = fill_up(one, self._longest)
        size = pack.ids.shape[1], len(pack.bounds)
        if size not in self._captured or not self._has_memory:
            self._captured[size] = None
            return self._plainly(pack, share, optimizer)
        captured = self._captured[size] or self._capture(pack, optimizer)
        if captured is None:
            return self._plainly(pack, share, optimizer)
        self._captured[size] = captured
        for fixed, new in zip(captured.pack.tensors(), pack.tensors(), strict=True):
            fixed.copy_(new)
        captured.share.fill_(share)
        captured.graph.replay()
        return captured.loss.clone()

    def _plainly(self, pack: Pack, share: float, optimizer: MasterAdamW) -> torch.Tensor:
        """On the stream graphs are captured on, which a capture needs."""
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            loss = _learn(self._run, pack.to(self._device), torch.tensor(share, device=self._device), optimizer)
        torch.cuda.current_stream().wait_stream(self._stream)
        return loss

    def _capture(self, pack: Pack, optimizer: MasterAdamW) -> _Captured | None:
        fixed, share = pack.to(self._device), torch.zeros((), device=self._device)
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.graph(graph, pool=self._pool, stream=self._stream):
                loss = _learn(self._run, fixed, share, optimizer)
        except torch.OutOfMemoryError:
            log.warning("Too little memory for CUDA graphs; going on without.")
            self._has_memory = False
            optimizer.drop_gradients()
            return None
        return _Captured(graph, fixed, share, loss)


def fill_up(one: Pack, longest: int) -> Pack:
    """The same rows, a row of padding up to a multiple of TOKENS, and empty rows up to a multiple of ROWS; a target for every place."""
    tokens, rows = one.ids.shape[1], len(one.bounds) - 1
    more, places = -tokens % TOKENS, tokens + -tokens % TOKENS
    targets = torch.full((places,), IGNORED)
    targets[one.before] = one.targets
    end = torch.full((1 + -(rows + 1) % ROWS,), places, dtype=torch.int32)
    return Pack(
        ids=torch.cat([one.ids, torch.zeros((1, more), dtype=torch.long)], dim=1),
        positions=torch.cat([one.positions, torch.arange(more)[None]], dim=1),
        before=None,
        targets=targets,
        bounds=torch.cat([one.bounds, end]),
        longest=longest,
    )


def _learn(run: Run, pack: Pack, share: torch.Tensor, optimizer: MasterAdamW) -> torch.Tensor:
    loss = run(pack) * share
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.collect_gradients()
    return loss.detach()
