"""AdamW that keeps float32 masters of bf16 adapters, and the learning rate as a pure function of the step.

Adapters compute in the base's precision; small updates would be lost in bf16, so they are added to float32 copies
and the result is rounded. Gradients of the micro batches are summed in float32 too.
"""

import math
from typing import Any

import torch
from torch import nn

from training.contract import Recipe


class MasterAdamW:
    """AdamW over float32 copies of `parameters` (name to parameter)."""

    def __init__(self, parameters: dict[str, nn.Parameter], weight_decay: float) -> None:
        self._parameters = parameters
        self._masters = {name: parameter.detach().float().clone() for name, parameter in parameters.items()}
        for master in self._masters.values():
            master.grad = torch.zeros_like(master)
        self._adamw = torch.optim.AdamW(self._masters.values(), weight_decay=weight_decay, fused=True)

    def collect_gradients(self) -> None:
        """Add the parameters' gradients to the masters' and forget them."""
        for total, parameter in zip(self.gradients(), self._parameters.values(), strict=True):
            if parameter.grad is not None:
                total += parameter.grad
        self.drop_gradients()

    def drop_gradients(self) -> None:
        """Forget gradients that were not collected."""
        for parameter in self._parameters.values():
            parameter.grad = None

    def gradients(self) -> list[torch.Tensor]:
        """The summed gradients, to be reduced over processes."""
        return [master.grad for master in self._masters.values() if master.grad is not None]

    def step(self, learning_rate: float, max_norm: float) -> torch.Tensor:
        """Clip the summed gradients to `max_norm`, apply and clear them; returns their norm before (a scalar, on the device).

        A norm that is not finite changes nothing. The host waits for nothing here.
        """
        norm = nn.utils.clip_grad_norm_(self._masters.values(), max_norm)
        self._adamw.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]  # the fused kernels skip their update then
        for group in self._adamw.param_groups:
            group["lr"] = learning_rate
        self._adamw.step()
        self._round_masters()
        self._adamw.zero_grad(set_to_none=False)
        return norm

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {"masters": self._masters, "adamw": self._adamw.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises KeyError, ValueError or RuntimeError when it is another model's."""
        if set(state["masters"]) != set(self._masters):
            raise ValueError("the checkpoint holds other parameters than this adapter has")
        for name, master in self._masters.items():
            master.copy_(state["masters"][name])
        self._adamw.load_state_dict(state["adamw"])
        self._round_masters()

    @torch.no_grad()
    def _round_masters(self) -> None:
        torch._foreach_copy_(list(self._parameters.values()), list(self._masters.values()))


def learning_rate(recipe: Recipe, step: int, total: int) -> float:
    """Learning rate of optimizer step `step` (from 0) of `total`: a linear warm-up, then cosine, linear or no decay to zero."""
    warmup = round(recipe.warmup_share * total)
    if step < warmup:
        return recipe.learning_rate * (step + 1) / (warmup + 1)
    share = (step - warmup) / max(1, total - warmup)
    decay = {"constant": 1.0, "linear": 1 - share, "cosine": (1 + math.cos(math.pi * share)) / 2}
    return recipe.learning_rate * decay[recipe.schedule]
