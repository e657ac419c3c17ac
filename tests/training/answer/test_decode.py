"""Decoding without padding gives what transformers' own greedy `generate` gives."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.conftest import recipe
from training.answer import decode as decode_module
from training.answer.decode import can_decode, decode
from training.answer.generate import _generate
from training.models.model import Base, add_adapter, load_base, trainable

PROMPTS = [[index * 7 % 250 + 3 for index in range(length)] for length in (4, 19, 9, 1)]


@pytest.fixture(scope="module")
def base(models: Path) -> Base:
    """The tiny model, its head turned to the middle of its vocabulary so that greedy answers vary."""
    return load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))


def adapted(base: Base) -> Any:
    model = add_adapter(base, recipe())
    with torch.no_grad():
        for index, parameter in enumerate(trainable(model).values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)) / 5)
    return model.eval()


def test_tokens_are_those_of_plain_greedy_generation(models: Path, base: Base) -> None:
    model = adapted(load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu")))
    assert can_decode(model)
    expected = _generate(model, base, PROMPTS, 30)
    assert decode(model, PROMPTS, 30, base.chat.end_id) == expected
    assert len({tuple(row) for row in expected}) == 4 and all(len(set(row)) > 3 for row in expected)


def test_a_row_is_the_same_alone_and_among_others_and_in_chunks(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    together = decode(base.model, PROMPTS, 12, base.chat.end_id)
    assert [decode(base.model, [prompt], 12, base.chat.end_id)[0] for prompt in PROMPTS] == together
    monkeypatch.setattr(decode_module, "PREFILL_TOKENS", 10)
    assert decode(base.model, PROMPTS, 12, base.chat.end_id) == together


def test_a_row_stops_at_its_end_token_and_the_others_go_on(base: Base) -> None:
    free = decode(base.model, PROMPTS, 12, end_id=-1)
    end_id = free[1][5]
    ended = decode(base.model, PROMPTS, 12, end_id)
    assert ended == [row[: row.index(end_id)] if end_id in row else row for row in free]
    assert len(ended[1]) <= 5 and max(map(len, ended)) == 12


def test_the_model_keeps_its_own_attention_afterwards(base: Base) -> None:
    before = base.model.config._attn_implementation
    decode(base.model, PROMPTS, 2, base.chat.end_id)
    assert base.model.config._attn_implementation == before
