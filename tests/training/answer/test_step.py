"""The fused step against transformers' own layers: Llama's and Qwen2's, with an adapter and without."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.tiny_model import make_tiny_model
from tests.training.conftest import recipe
from training.answer import decode as decode_module
from training.answer.decode import RowCache, decode
from training.answer.step import FusedStep, can_fuse
from training.models.decoder import causal_model
from training.models.model import Base, add_adapter, load_base, trainable

PROMPTS = [[index * 7 % 250 + 3 for index in range(length)] for length in (4, 19, 9, 1)]


@pytest.fixture(params=["qwen2", "llama"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> Base:
    """A tiny base of either architecture, its biases not zero."""
    make_tiny_model(tmp_path / "tiny", architecture=request.param)
    base = load_base("tiny", None, "fp32", tmp_path, torch.device("cpu"))
    for name, parameter in base.model.named_parameters():
        if name.endswith("bias"):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(1))
    base.model.requires_grad_(False)
    return base


def adapted(base: Base) -> Any:
    model = add_adapter(base, recipe(rank=4, alpha=12))
    with torch.no_grad():
        for index, parameter in enumerate(trainable(model).values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)) / 5)
    return model.eval()


@pytest.mark.parametrize("prepare", [adapted, lambda base: base.model.eval()], ids=["adapter", "base"])
def test_tokens_are_those_of_transformers_layers(base: Base, prepare: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    model, fused = prepare(base), list[FusedStep]()

    class Counted(FusedStep):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            fused.append(self)

    monkeypatch.setattr(decode_module, "FusedStep", Counted)
    found = decode(model, PROMPTS, 20, end_id=-1)
    assert len(fused) == 1 and len({tuple(row) for row in found}) == 4
    monkeypatch.setattr(decode_module, "can_fuse", lambda _model: False)
    assert decode(model, PROMPTS, 20, end_id=-1) == found and len(fused) == 1


def test_weights_move_together_once_and_stay_the_parameters_they_are(base: Base) -> None:
    model = adapted(base)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    attention = causal_model(model).get_decoder().layers[0].self_attn
    query, key = attention.q_proj.base_layer.weight, attention.k_proj.base_layer.weight
    assert key.data_ptr() != query.data_ptr() + query.nbytes
    with torch.inference_mode():
        FusedStep(model, RowCache(model, 1, 4).layers)
    assert (moved := query.data_ptr()) + query.nbytes == key.data_ptr() and not query.is_inference()
    FusedStep(model, RowCache(model, 1, 4).layers)
    assert query.data_ptr() == moved
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


def test_what_is_not_written_down_here_is_left_to_transformers(base: Base) -> None:
    model = adapted(base)
    assert can_fuse(model)
    projection = causal_model(model).get_decoder().layers[1].mlp.down_proj
    projection.base_layer = nn.Sequential(projection.base_layer)
    assert not can_fuse(model)
    projection.base_layer = projection.base_layer[0]
    causal_model(model).get_decoder().layers[1].self_attn.k_proj.scaling["default"] = 0.5
    assert not can_fuse(model)
    model.unload()
    assert can_fuse(base.model)
    base.model.config.hidden_act = "gelu"
    assert not can_fuse(base.model)


def test_an_adapter_that_is_switched_off_is_left_out(base: Base) -> None:
    expected = decode(base.model.eval(), PROMPTS, 12, end_id=-1)
    model = adapted(base)
    assert decode(model, PROMPTS, 12, end_id=-1) != expected
    with model.disable_adapter():
        assert can_fuse(model) and decode(model, PROMPTS, 12, end_id=-1) == expected
