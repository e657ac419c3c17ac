"""AdamW that keeps float32 masters of bf16 adapters, and the learning rate as a pure function of the step.

Adapters compute in the base's precision; small updates would be lost in bf16, so they are added to float32 copies
and the result is rounded. Gradients of the micro batches are summed in float32 too, in buckets filled in the order the backward pass
goes: with several processes a full bucket travels while the backward pass makes the next.
"""

import math
from functools import partial
from typing import Any

import torch
from torch import nn

from training.contract import Recipe
from training.processes import Processes

BUCKET_VALUES = 2**25
"""Gradients that travel together: 134 MB in float32, enough for a link's full speed."""


class MasterAdamW:
    """AdamW over float32 copies of `parameters` (name to parameter)."""

    def __init__(self, parameters: dict[str, nn.Parameter], weight_decay: float) -> None:
        self._parameters = parameters
        self._masters = {name: parameter.detach().float().clone() for name, parameter in parameters.items()}
        self._buckets = [_Bucket(part) for part in _divide(parameters)]
        for bucket in self._buckets:
            for name, total in bucket.totals():
                self._masters[name].grad = total
                parameters[name].register_post_accumulate_grad_hook(partial(self._arrived, bucket))  # type: ignore[no-untyped-call]
        self._adamw = torch.optim.AdamW(self._masters.values(), weight_decay=weight_decay, fused=True)
        for master in self._masters.values():  # now and not at the first step, so that what fits beside them is known before it
            self._adamw.state[master] = _fresh_state(master)
        self._processes: Processes | None = None
        self._travelling: list[Any] = []

    def collect_gradients(self) -> None:
        """After a backward pass: add the gradients of buckets that did not fill up to the masters' too."""
        for bucket in self._buckets:
            bucket.collect()

    def drop_gradients(self) -> None:
        """Forget gradients that were not collected."""
        for bucket in self._buckets:
            bucket.drop()

    def clear_gradients(self) -> None:
        """Forget all gradients."""
        self.drop_gradients()
        for bucket in self._buckets:
            bucket.total.zero_()

    def sum_as_ready(self, processes: Processes) -> None:
        """Before the last backward pass of a step: from here on each bucket is summed over all processes as soon as it is full."""
        if processes.count > 1:
            self._processes = processes
            for bucket in self._buckets:
                bucket.is_full = False

    def sum_gradients(self, processes: Processes) -> None:
        """After it: sum over all processes what was not summed yet, and have the device wait for all of it."""
        if processes.count > 1:
            for bucket in self._buckets[len(self._travelling) :]:
                self._travelling.append(processes.begin_sum(bucket.total))
            processes.finish(self._travelling)
            self._travelling, self._processes = [], None

    def step(self, learning_rate: float, max_norm: float) -> torch.Tensor:
        """Clip the summed gradients to `max_norm`, apply and clear them; returns their norm before (a scalar, on the device).

        A norm that is not finite changes nothing. The host waits for nothing here.
        """
        totals = [bucket.total for bucket in self._buckets]
        norm = nn.utils.get_total_norm(totals)
        torch._foreach_mul_(totals, (max_norm / (norm + 1e-6)).clamp(max=1.0))
        self._adamw.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]  # the fused kernels skip their update then
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()
        self._round_masters()
        self.clear_gradients()
        return norm

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {"masters": self._masters, "adamw": self._adamw.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises KeyError, ValueError or RuntimeError when it is another model's."""
        if set(state["masters"]) != set(self._masters):
            raise ValueError("the checkpoint holds other parameters than this adapter has")
        for index, (name, master) in enumerate(self._masters.items()):  # in place: nothing is there twice
            master.copy_(state["masters"][name])
            for kind, value in state["adamw"]["state"][index].items():
                self._adamw.state[master][kind].copy_(value)
        self._round_masters()

    @torch.no_grad()
    def _round_masters(self) -> None:
        torch._foreach_copy_(list(self._parameters.values()), list(self._masters.values()))

    def _arrived(self, bucket: "_Bucket", _parameter: torch.Tensor) -> None:
        """A gradient is there. A full bucket is collected, and travels once all before it do: the same order in all processes."""
        bucket.arrived += 1
        if bucket.arrived < len(bucket.parameters):
            return
        bucket.collect()
        bucket.is_full = True
        if self._processes is None or _is_being_captured(bucket.total):
            return
        while len(self._travelling) < len(self._buckets) and self._buckets[len(self._travelling)].is_full:
            self._travelling.append(self._processes.begin_sum(self._buckets[len(self._travelling)].total))


class _Bucket:
    """Parameters whose gradients are summed in one flat float32 tensor, `total`."""

    def __init__(self, parameters: dict[str, nn.Parameter]) -> None:
        first = next(iter(parameters.values()))
        self.parameters, self.arrived, self.is_full = parameters, 0, False
        self.total = torch.zeros(sum(parameter.numel() for parameter in parameters.values()), device=first.device)
        self._pass = torch.empty_like(self.total, dtype=first.dtype)
        self._parts = self._views(self._pass)

    def totals(self) -> list[tuple[str, torch.Tensor]]:
        """Each parameter's name and its part of `total`."""
        return list(zip(self.parameters, self._views(self.total), strict=True))

    def collect(self) -> None:
        """Add the gradients that are there to `total`, in two kernels however many they are, and forget them."""
        parts = zip(self._parts, self.parameters.values(), strict=True)
        gradients = {part: parameter.grad for part, parameter in parts if parameter.grad is not None}
        if not gradients:
            return
        if len(gradients) < len(self._parts):
            self._pass.zero_()
        torch._foreach_copy_(list(gradients), list(gradients.values()))
        self.total += self._pass
        self.drop()

    def drop(self) -> None:
        """Forget gradients that were not collected."""
        self.arrived = 0
        for parameter in self.parameters.values():
            parameter.grad = None

    def _views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        sizes = [parameter.numel() for parameter in self.parameters.values()]
        parts = zip(torch.split(flat, sizes), self.parameters.values(), strict=True)
        return [part.view_as(parameter) for part, parameter in parts]


def _fresh_state(master: torch.Tensor) -> dict[str, torch.Tensor]:
    """What AdamW would make at its first step."""
    step = torch.zeros((), dtype=torch.float32, device=master.device)
    return {"step": step, "exp_avg": torch.zeros_like(master), "exp_avg_sq": torch.zeros_like(master)}


def _divide(parameters: dict[str, nn.Parameter]) -> list[dict[str, nn.Parameter]]:
    """Parameters, last first as a backward pass reaches them, in groups of about BUCKET_VALUES values."""
    groups: list[dict[str, nn.Parameter]] = []
    room = 0
    for name, parameter in reversed(parameters.items()):
        if room <= 0:
            groups.append({})
            room = BUCKET_VALUES
        groups[-1][name] = parameter
        room -= parameter.numel()
    return groups


def _is_being_captured(tensor: torch.Tensor) -> bool:
    """Whether what is launched now becomes part of a CUDA graph, which nothing that travels may."""
    return tensor.is_cuda and torch.cuda.is_current_stream_capturing()


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Learning rate of optimizer step `step` (from 0) of `total`: a linear warm-up, then cosine, linear or no decay to zero."""
    warmup = round(recipe.warmup_share * total)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1, total - warmup)
    decay = {"constant": 1.0, "linear": 1 - share, "cosine": (1 + math.cos(math.pi * share)) / 2}
    return recipe.learning_rate * decay[recipe.schedule]
