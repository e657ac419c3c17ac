"""How an answer ends: by itself, also exactly at its limit, cut, or stopped; and never silently for want of room."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from training import processes
from training.answer.arms import check_room
from training.answer.generate import answer_batch
from training.errors import DatasetError, Stopped
from training.models.model import load_base


def test_an_answer_that_ends_exactly_at_the_limit_has_ended(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    prompt = base.chat.prompt([{"role": "user", "content": "a"}])
    written = answer_batch(base.model, base, [prompt], [3])[0]
    base.chat.end_id = answer_batch(base.model, base, [prompt], [4])[0].ids[3]
    assert base.chat.end_id not in written.ids
    cut, exactly, free = (answer_batch(base.model, base, [prompt], [limit])[0] for limit in (2, 3, 4))
    assert [cut.finished, exactly.finished, free.finished] == [False, True, True]
    assert cut.ids + written.ids[2:] == exactly.ids == free.ids == written.ids
    assert [answer.finished for answer in answer_batch(base.model, base, [prompt] * 2, [3, 9])] == [True, True]


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    prompts = [base.chat.prompt([{"role": "user", "content": text}]) for text in ("a", "a much longer question than the others", "b c")]
    together = answer_batch(base.model, base, prompts, [12] * 3)
    assert together == [answer_batch(base.model, base, [prompt], [12])[0] for prompt in prompts]


def test_an_answer_ends_at_the_templates_end_token(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    prompt = base.chat.prompt([{"role": "user", "content": "a"}])
    first = answer_batch(base.model, base, [prompt], [5])[0]
    with torch.no_grad():  # make the end token the likeliest whatever came before
        base.model.get_output_embeddings().weight.zero_()
        base.model.get_output_embeddings().weight[: base.chat.end_id] = 0
        base.model.get_output_embeddings().weight[base.chat.end_id] = base.model(
            torch.tensor([prompt]), output_hidden_states=True
        ).hidden_states[-1][0, -1]
    ended = answer_batch(base.model, base, [prompt], [5])[0]
    assert (first.finished, first.tokens) == (False, 5)
    assert (ended.text, ended.finished, ended.tokens) == ("", True, 0)


@pytest.mark.parametrize("plain", [True, False], ids=["decode", "generate"])
def test_a_stop_ends_a_long_answer_where_it_is(models: Path, monkeypatch: pytest.MonkeyPatch, plain: bool) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    monkeypatch.setattr("training.answer.generate.can_decode", lambda _model: plain)
    base.chat.end_id = -1
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Stopped("Stopped by SIGTERM.")

    with pytest.raises(Stopped):
        answer_batch(base.model, base, [base.chat.prompt([{"role": "user", "content": "a"}])], [50], look=look)
    assert len(looks) == 3


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
