"""One step, however it is divided; memory that does not suffice; losses that are no numbers."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.conftest import recipe
from training.errors import NonFiniteLoss, OutOfMemory
from training.fit.loop import Step, fit_micro_batch, prepare, train_step
from training.fit.optimizer import MasterAdamW
from training.fit.paths import ForwardPath, padded
from training.models.model import add_adapter, load_base, trainable
from training.processes import Processes
from training.rows.data import Row

ROWS = [Row(f"a:{number}", [(number * 31 + index) % 200 for index in range(6 + 3 * number)], 3) for number in range(8)]
CPU = torch.device("cpu")


class SmallMemory(nn.Module):
    """A model whose memory holds so many tokens a forward pass; more raises what CUDA raises."""

    def __init__(self, inner: Any, tokens: int) -> None:
        super().__init__()
        self.inner, self.tokens = inner, tokens

    def get_base_model(self) -> Any:
        return self

    def get_output_embeddings(self) -> Any:
        return self.inner.get_base_model().get_output_embeddings()

    def get_decoder(self) -> Any:
        return self

    def forward(self, input_ids: torch.Tensor, **inputs: Any) -> Any:
        if input_ids.numel() > self.tokens:
            raise torch.OutOfMemoryError(f"CUDA out of memory: {input_ids.numel()} tokens")
        return self.inner.get_base_model().get_decoder()(input_ids, **inputs)


def setting(models: Path) -> tuple[Any, MasterAdamW]:
    model = add_adapter(load_base("tiny-random-qwen2", None, "fp32", models, CPU), recipe())
    return model, MasterAdamW(trainable(model), 0.0)


def losses(path: ForwardPath, optimizer: MasterAdamW, micro_batch: int) -> list[float]:
    steps = [Step(number, ROWS, micro_batch, 1e-2) for number in range(3)]
    return [train_step(path, optimizer, prepare(path, step, Processes()), recipe(), Processes()).loss for step in steps]


def test_a_signal_during_a_step_ends_the_training_with_that_step(models: Path) -> None:
    model, optimizer = setting(models)
    path, came = padded(model, 0, CPU), list[int]()
    prepared = prepare(path, Step(0, ROWS, 8, 1e-2), Processes())
    step = train_step(path, optimizer, prepared, recipe(), Processes(), stop=lambda: bool(came), meanwhile=lambda: came.append(15))
    assert step.stopping


def test_the_loss_does_not_depend_on_the_micro_batch(models: Path) -> None:
    found = []
    for micro_batch in (1, 3, 8):
        model, optimizer = setting(models)
        found.append(losses(padded(model, 0, CPU), optimizer, micro_batch))
    assert found[1] == pytest.approx(found[0], rel=1e-5)
    assert found[2] == pytest.approx(found[0], rel=1e-5)
    assert found[0][2] < found[0][0] - 0.01


def test_the_micro_batch_halves_until_the_longest_row_fits(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    model, optimizer = setting(models)
    before = {name: parameter.detach().clone() for name, parameter in trainable(model).items()}
    small = padded(SmallMemory(model, tokens=60), 0, CPU)  # the longest row has 27 tokens: two of them fit
    assert fit_micro_batch(small, optimizer, ROWS[-1], 8, Processes()) == 2
    assert caplog.messages == [
        "Out of memory with micro_batch = 8; going on with 4 and twice the accumulation.",
        "Out of memory with micro_batch = 4; going on with 2 and twice the accumulation.",
    ]
    assert all(torch.equal(parameter, before[name]) for name, parameter in trainable(model).items())


def test_a_halved_micro_batch_trains_the_same(models: Path) -> None:
    model, optimizer = setting(models)
    halved = losses(padded(SmallMemory(model, tokens=60), 0, CPU), optimizer, 2)
    model, optimizer = setting(models)
    assert halved == pytest.approx(losses(padded(model, 0, CPU), optimizer, 8), rel=1e-5)


def test_a_row_that_does_not_fit_alone_is_named(models: Path) -> None:
    model, optimizer = setting(models)
    with pytest.raises(OutOfMemory, match=r"Row a:7 \(27 tokens\) does not fit into memory alone"):
        fit_micro_batch(padded(SmallMemory(model, tokens=20), 0, CPU), optimizer, ROWS[-1], 4, Processes())


def test_a_loss_that_is_no_number_names_its_rows_and_changes_nothing(models: Path) -> None:
    model, optimizer = setting(models)
    with torch.no_grad():  # token 160 stands in some of the rows only
        model.get_input_embeddings().weight[160] = float("nan")
    before = {name: parameter.detach().clone() for name, parameter in trainable(model).items()}
    guilty = [row.source for row in ROWS if 160 in row.ids]
    with pytest.raises(NonFiniteLoss, match=f"rows: {', '.join(guilty)}. Look at them"):
        losses(padded(model, 0, CPU), optimizer, 4)
    assert 0 < len(guilty) < len(ROWS)
    assert all(torch.equal(parameter, before[name]) for name, parameter in trainable(model).items())


def test_weights_that_have_diverged_are_told_apart_from_bad_rows(models: Path) -> None:
    model, _ = setting(models)
    with torch.no_grad():
        for parameter in trainable(model).values():
            parameter.fill_(float("nan"))
    optimizer = MasterAdamW(trainable(model), 0.0)
    with pytest.raises(NonFiniteLoss, match=r"every row of the step .*the weights have diverged\. Lower learning_rate"):
        losses(padded(model, 0, CPU), optimizer, 4)
