"""The sliced loss of a frozen head against transformers' own."""

from pathlib import Path

import pytest
import torch

from tests.training.conftest import recipe
from training.fit import loss as loss_module
from training.fit.loss import answer_loss, batch_loss
from training.models.decoder import has_plain_head
from training.models.model import add_adapter, load_base, trainable
from training.rows.data import Row, collate

ROWS = [Row("a:1", list(range(10, 40)), 12), Row("a:2", list(range(60, 75)), 3)]


def test_loss_and_gradients_are_those_of_the_model_itself(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    model = add_adapter(base, recipe())
    batch = collate(ROWS, pad_id=0)
    model(input_ids=batch.ids, attention_mask=batch.attention, labels=batch.labels).loss.backward()
    expected = {name: parameter.grad.clone() for name, parameter in trainable(model).items() if parameter.grad is not None}
    model.zero_grad()
    total = batch_loss(model, batch)
    (total / 30).backward()  # 18 + 12 answer tokens; transformers averages over them
    assert has_plain_head(model)
    assert float(total.detach() / 30) == pytest.approx(
        float(model(input_ids=batch.ids, attention_mask=batch.attention, labels=batch.labels).loss.detach()), rel=1e-6
    )
    for name, parameter in trainable(model).items():
        torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-4, atol=1e-7)
    assert any(float(gradient.abs().max()) > 1e-4 for gradient in expected.values())


def test_slices_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    hidden, weight = torch.randn(50, 8, generator=generator), torch.randn(20, 8, generator=generator)
    labels = torch.randint(0, 20, (50,), generator=generator)
    whole = hidden.clone().requires_grad_()
    expected = torch.nn.functional.cross_entropy(whole @ weight.T, labels, reduction="sum")
    expected.backward()
    monkeypatch.setattr(loss_module, "SLICE_VALUES", {"cpu": 7 * 20})
    sliced = hidden.clone().requires_grad_()
    total = answer_loss(sliced, labels, weight)
    total.backward()
    torch.testing.assert_close(total, expected)
    torch.testing.assert_close(sliced.grad, whole.grad)


def test_no_label_gives_no_loss_and_no_gradient() -> None:
    hidden = torch.randn(3, 8, requires_grad=True)
    total = answer_loss(hidden, torch.full((3,), -100), torch.randn(20, 8))
    total.backward()
    assert float(total.detach()) == 0.0
    assert hidden.grad is not None and float(hidden.grad.abs().sum()) == 0.0
