"""How an answer ends: by itself, also exactly at its limit, or cut; and never silently for want of room."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from training import processes
from training.answer.arms import check_room
from training.answer.decode import decode
from training.answer.generate import answer_batch
from training.errors import DatasetError
from training.models.model import load_base

PROMPT = [index * 7 % 250 + 3 for index in range(9)]


def test_an_answer_that_ends_exactly_at_its_limit_has_ended(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    free = decode(base.model, [PROMPT], 12, end_id=-1)[0]
    place = next(place for place in range(1, 12) if free[place] not in free[:place])
    chat: Any = SimpleNamespace(end_id=free[place])
    (whole,) = answer_batch(base.model, replace(base, chat=chat), [PROMPT], [place])
    assert (whole.ids, whole.finished) == (free[:place], True)
    (cut,) = answer_batch(base.model, replace(base, chat=chat), [PROMPT], [place - 1]) if place > 1 else (replace(whole, finished=False),)
    assert not cut.finished


def test_a_prompt_that_fills_the_context_is_refused_by_name_and_one_that_leaves_little_room_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with pytest.raises(DatasetError, match=r"A prompt of arm 'few-shot' has 300 tokens, and the base reads 300 with the answer"):
        check_room("few-shot", [10, 300], [20, 20], 300)
    check_room("few-shot", [10, 280], [20, 20], 300)
    assert not caplog.messages
    check_room("few-shot", [10, 299, 290], [20, 20, 20], 300)
    assert caplog.messages == ["few-shot: 2 of 3 prompts leave less room than an answer may take; longer answers are cut there."]


def test_memory_that_pytorch_keeps_without_using_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card of 100: 60 are another's, 30 are kept by PyTorch, of which 10 are in use."""
    figures = {"memory_reserved": 30, "memory_allocated": 10}
    for name, value in figures.items():
        monkeypatch.setattr(torch.cuda, name, lambda _device, value=value: value)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (10, 100))
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _device: SimpleNamespace(total_memory=100))
    monkeypatch.delenv(processes.GPU_GIB, raising=False)
    assert processes.free_bytes(torch.device("cuda")) == 10 + 20
