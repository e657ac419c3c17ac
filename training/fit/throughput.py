"""Tokens a second, TFLOP/s and memory of a training, measured over the steps between two log lines."""

import time
from typing import Any

import psutil  # type: ignore[import-untyped]
import torch

from training.models.decoder import head


class Throughput:
    """Counts steps; every `log_steps` of them it has figures. `tokens_per_second` is of the last window that had any."""

    def __init__(self, model: Any, log_steps: int, device: torch.device) -> None:
        self._per_token, self._per_answer_token = flops(model)
        self._log_steps, self._device = log_steps, device
        self.tokens_per_second = 0.0
        self._restart()

    def add(self, tokens: int, answer_tokens: int, step: int) -> dict[str, float]:
        """Count a step that just ended; its figures if it ends a window, else nothing."""
        self._tokens += tokens
        self._flops += tokens * self._per_token + answer_tokens * self._per_answer_token
        seconds = time.monotonic() - self._began
        self.tokens_per_second = self._tokens / seconds
        if step % self._log_steps:
            return {}
        figures = {"train/tokens_per_second": self.tokens_per_second, "train/tflops": self._flops / seconds / 1e12, **_system(self._device)}
        self._restart()
        return figures

    def _restart(self) -> None:
        self._began, self._tokens, self._flops = time.monotonic(), 0, 0


_THIN = ("embed_tokens", "lm_head")


def flops(model: Any) -> tuple[int, int]:
    """Matrix FLOPs of a LoRA step for each token, and on top for each answer token; attention and everything thin left out.

    A frozen weight costs 2 FLOPs a token forward and 2 for the gradient of its input; an adapter's weight 2 more for its own gradient.
    """
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.ndim == 2]
    matrices = [parameter for name, parameter in named if not any(part in name for part in _THIN)]
    per_token = sum((6 if parameter.requires_grad else 4) * parameter.numel() for parameter in matrices)
    return per_token, 4 * head(model).numel()


def _system(device: torch.device) -> dict[str, float]:
    figures = {"system/cpu_percent": psutil.cpu_percent(), "system/memory_gib": psutil.Process().memory_info().rss / 2**30}
    if device.type == "cuda":
        figures["system/gpu_memory_peak_gib"] = torch.cuda.max_memory_allocated(device) / 2**30
        figures["system/gpu_memory_reserved_peak_gib"] = torch.cuda.max_memory_reserved(device) / 2**30
    return figures
