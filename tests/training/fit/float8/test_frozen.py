"""Frozen weights in FP8: what is multiplied, and that a training on them is nearly the one in full precision."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.conftest import recipe
from tests.training.rows.test_packing import ROWS, adapted, gradients
from training.fit.float8 import frozen, layers
from training.fit.float8.frozen import LARGEST, Quantised, freeze_in_float8, is_in_float8, multiply, quantise
from training.fit.fused import plain_kernels
from training.fit.paths import choose_path, packed
from training.models.decoder import causal_model

CPU = torch.device("cpu")


def in_float8(models: Path) -> Any:
    model = adapted(models)
    freeze_in_float8(causal_model(model).get_decoder())
    return model


def learned(model: Any, recompute: float = 0.0) -> tuple[float, dict[str, torch.Tensor]]:
    """The loss of ROWS and the gradients of all adapters."""
    loss = packed(model, 100, CPU, plain_kernels(), 200, recompute).loss_sum(ROWS)
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), gradients(model)


def test_a_cast_row_keeps_three_bits_of_each_number_and_zeros_stay_zeros() -> None:
    matrix = torch.randn(6, 64, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1e-6], [1.0], [1e4], [0.0], [3.0], [0.1]])
    cast = quantise(matrix)
    assert cast.values.dtype == torch.float8_e4m3fn and cast.scales.shape == (6, 1)
    assert torch.equal(cast.scales.log2(), cast.scales.log2().round())
    assert float(cast.values.float().abs().max()) <= LARGEST
    large = matrix.abs() > matrix.abs().amax(dim=1, keepdim=True) / 1000
    error = ((cast.in_float32() - matrix).abs() / matrix.abs())[large]
    assert 0.01 < float(error.max()) <= 2**-4
    assert torch.equal(cast.in_float32()[3], torch.zeros(64))


def test_both_directions_multiply_by_the_same_numbers(models: Path) -> None:
    model = adapted(models)
    layer = causal_model(model).get_decoder().layers[0].mlp
    weight = torch.cat([layer.gate_proj.base_layer.weight, layer.up_proj.base_layer.weight])
    assert torch.equal(quantise(weight).in_float32(), quantise(weight.T.contiguous()).in_float32().T)
    left = torch.randn(5, weight.shape[1], generator=torch.Generator().manual_seed(1))
    product = multiply(quantise(left), quantise(weight), torch.ones(len(weight)), torch.float32)
    error = (product - 1 - left @ weight.T).norm() / (left @ weight.T).norm()
    assert 0.001 < float(error) < 0.06


def test_without_rounding_it_is_the_same_mathematics(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frozen, layers):
        monkeypatch.setattr(module, "quantise", lambda matrix: Quantised(matrix, torch.ones(len(matrix), 1)))
    (loss, exact), (same, cast) = (learned(model) for model in (adapted(models), in_float8(models)))
    assert same == pytest.approx(loss, rel=1e-6)
    assert exact.keys() == cast.keys()
    for name, gradient in exact.items():
        torch.testing.assert_close(cast[name], gradient, rtol=1e-4, atol=1e-5)


def test_loss_and_gradients_are_near_those_in_full_precision(models: Path) -> None:
    (loss, exact), (near, cast) = (learned(model) for model in (adapted(models), in_float8(models)))
    assert near == pytest.approx(loss, rel=0.01) and near != loss
    every, each = (torch.cat([gradient.flatten() for gradient in found.values()]) for found in (exact, cast))
    assert float(torch.cosine_similarity(every, each, dim=0)) > 0.9


def test_layers_computed_again_give_the_same_gradients(models: Path) -> None:
    (_, kept), (_, again) = (learned(in_float8(models), share) for share in (0.0, 1.0))
    for name, gradient in kept.items():
        torch.testing.assert_close(again[name], gradient, rtol=1e-5, atol=1e-6)


def test_what_was_cast_is_gone_in_its_old_precision(models: Path) -> None:
    model = in_float8(models)
    assert is_in_float8(causal_model(model).get_decoder())
    weight = causal_model(model).get_decoder().layers[0].mlp.down_proj.base_layer.weight
    assert weight.untyped_storage().nbytes() == weight.element_size() and bool(weight.isnan().all())
    with torch.no_grad():
        assert bool(model(torch.tensor([[1, 2]])).logits.isnan().all())  # no way around the cast weights goes unseen


def test_a_device_without_such_products_trains_as_before_and_says_so(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    model = adapted(models)
    with caplog.at_level("WARNING", logger="training"):
        path = choose_path(model, 0, 100, CPU, 200, float8=True)
    assert path.name == "padded" and not is_in_float8(causal_model(model).get_decoder())
    assert 'base_precision = "fp8" in the recipe is left aside: cpu has no variable-length attention.' in caplog.text
    assert frozen.reason_against(CPU) == "cpu has no products of FP8"


def test_the_setting_changes_the_name_of_a_training_only_where_it_is_set() -> None:
    assert "base_precision" not in recipe().as_text()
    assert "fp8" in recipe(base_precision="fp8").as_text()
