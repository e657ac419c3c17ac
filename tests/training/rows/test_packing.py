"""Packed and padded rows are the same training: losses, gradients, and no look across a row's edge."""

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.conftest import recipe
from training.answer.decode import can_decode
from training.fit.fused import plain_kernels
from training.fit.graphs import GraphedPasses, fill_up
from training.fit.loop import Step, prepare, train_step
from training.fit.optimizer import MasterAdamW
from training.fit.paths import DROPOUT, choose_path, packed, padded, reasons_against_packing, say_path
from training.models.model import add_adapter, load_base, trainable
from training.processes import Processes
from training.rows.data import IGNORED, Row
from training.rows.packing import group_by_tokens, pack

CPU = torch.device("cpu")
ROWS = [Row(f"a:{number}", [(number * 31 + index * 7) % 250 for index in range(5 + 4 * number)], 2 + number) for number in range(6)]


def adapted(models: Path) -> Any:
    """The tiny model with an adapter that does something."""
    model = add_adapter(load_base("tiny-random-qwen2", None, "fp32", models, CPU), recipe())
    with torch.no_grad():
        for index, parameter in enumerate(trainable(model).values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)) / 10)
    return model


def gradients(model: Any) -> dict[str, torch.Tensor]:
    found = {name: parameter.grad.clone() for name, parameter in trainable(model).items() if parameter.grad is not None}
    model.zero_grad()
    return found


def test_a_pack_has_no_padding_and_starts_each_row_anew() -> None:
    one = pack([Row("a:1", [5, 6, 7], 1), Row("a:2", [8, 9], 1)])
    assert one.ids.tolist() == [[5, 6, 7, 8, 9]]
    assert one.targets.tolist() == [6, 7, IGNORED, 9, IGNORED]
    assert one.positions.tolist() == [[0, 1, 2, 0, 1]]
    assert (one.bounds.tolist(), one.longest) == ([0, 3, 5], 3)
    filled = pack([Row("a:1", [5, 6, 7], 1)], multiple=4)
    assert (filled.ids.tolist(), filled.targets.tolist(), filled.bounds.tolist()) == ([[5, 6, 7, 0]], [6, 7, IGNORED, IGNORED], [0, 3, 4])


def test_groups_hold_every_row_whole_within_the_limit() -> None:
    groups = group_by_tokens(ROWS, 30)
    assert [[len(row.ids) for row in group] for group in groups] == [[25, 5], [21, 9], [17, 13]]
    assert [[len(row.ids) for row in group] for group in group_by_tokens(ROWS, 89)] == [[25, 13, 9], [21, 17, 5]]  # not 89 and 1
    assert [[row.source for row in group] for group in group_by_tokens(ROWS[4:], 10)] == [["a:4"], ["a:5"]]


def test_packed_and_padded_losses_and_gradients_are_equal(models: Path) -> None:
    model = adapted(models)
    loss = padded(model, 0, CPU).loss_sum(ROWS)
    loss.backward()  # type: ignore[no-untyped-call]
    expected, expected_gradients = float(loss.detach()), gradients(model)
    loss = packed(model, 100, CPU, plain_kernels(), 200).loss_sum(ROWS)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(expected, rel=1e-6)
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, expected_gradients[name], rtol=1e-4, atol=1e-5)
    assert len(expected_gradients) == 28 and all(float(gradient.abs().max()) > 0 for gradient in expected_gradients.values())


def test_a_row_does_not_see_its_neighbours_in_the_pack(models: Path) -> None:
    path = packed(adapted(models), 100, CPU, plain_kernels(), 200)
    with torch.no_grad():
        alone = float(path.loss_sum([ROWS[2]]))
        first, other = ([Row("n", [token] * 20, 19), ROWS[2]] for token in (3, 200))
        pairs = [float(path.loss_sum(rows)) - float(path.loss_sum(rows[:1])) for rows in (first, other)]
    assert pairs == pytest.approx([alone, alone], rel=1e-4)


def test_both_paths_give_the_same_loss_curve(models: Path) -> None:
    curves = []
    for make in (lambda model: padded(model, 0, CPU), lambda model: packed(model, 20, CPU, plain_kernels(), 200)):
        model = adapted(models)
        path, optimizer = make(model), MasterAdamW(trainable(model), 0.0)
        curves.append(
            [
                train_step(path, optimizer, prepare(path, Step(number, ROWS, 2, 1e-2), Processes()), recipe(), Processes()).loss
                for number in range(20)
            ]
        )
    assert curves[1] == pytest.approx(curves[0], rel=1e-3)
    assert curves[0][-1] < curves[0][0] * 0.9


def test_without_a_gpu_the_padded_path_is_chosen_and_said(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO", logger="training"):
        assert choose_path(adapted(models), 0, 100, CPU, 200).name == "padded"
    assert caplog.messages == ["Forward path: padded (cpu has no variable-length attention)"]


def test_a_sliding_window_and_dropout_keep_a_model_from_the_packed_path(models: Path) -> None:
    model = adapted(models)
    usual = reasons_against_packing(model, CPU)
    model.get_base_model().config.use_sliding_window = True
    assert reasons_against_packing(model, CPU) == [*usual, "the model has a sliding window"] and not can_decode(model)
    model.get_base_model().config.use_sliding_window = False
    next(iter(model.peft_config.values())).lora_dropout = 0.1
    assert reasons_against_packing(model, CPU) == [*usual, DROPOUT]


def test_dropout_that_alone_makes_a_training_slow_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", logger="training"):
        say_path("padded", ["cpu has no variable-length attention", DROPOUT])
        assert not caplog.messages
        say_path("padded", [DROPOUT])
    assert "dropout in the recipe alone" in caplog.text


def test_a_pack_filled_up_has_the_same_loss_and_gradients(models: Path) -> None:
    model = adapted(models)
    path = packed(model, 100, CPU, plain_kernels(), 200)
    one = pack(ROWS)
    found = []
    for given in (one, fill_up(one, 100), fill_up(one, 1000, 600)):
        loss = path.run(given)
        loss.backward()  # type: ignore[no-untyped-call]
        found.append((float(loss.detach()), gradients(model)))
    assert [found[1][0], found[2][0]] == pytest.approx([found[0][0]] * 2, rel=1e-6)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found[2][1][name], gradient, rtol=1e-4, atol=1e-5)


def test_packs_of_like_sizes_are_filled_up_to_one_shape() -> None:
    filled = [fill_up(pack([Row("a:1", [1] * length, 1)]), 300) for length in (3, 250, 512)]
    assert [one.ids.shape[1] for one in filled] == [512, 512, 512]
    assert [one.bounds.tolist() for one in filled] == [[0, 3, 303, *[512] * 6], [0, 250, *[512] * 7], [0, *[512] * 8]]
    assert fill_up(pack([Row("a:1", [1] * 3, 1)]), 300, tokens=513).ids.shape[1] == 1024


@pytest.mark.parametrize("recompute", [0.5, 1.0])
def test_layers_computed_again_give_the_same_loss_and_gradients(models: Path, recompute: float) -> None:
    model = adapted(models)
    found = []
    for share in (0.0, recompute):
        loss = packed(model, 100, CPU, plain_kernels(), 200, share).loss_sum(ROWS)
        loss.backward()  # type: ignore[no-untyped-call]
        found.append((float(loss.detach()), gradients(model)))
    assert found[1][0] == pytest.approx(found[0][0], rel=1e-6)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, rtol=1e-5, atol=1e-6)


def test_layers_computed_again_keep_less(models: Path) -> None:
    model, kept = adapted(models), []
    for share in (0.0, 0.5, 1.0):
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor, into=sizes: into.append(tensor.numel()) or tensor, lambda one: one):  # type: ignore[func-returns-value]
            packed(model, 100, CPU, plain_kernels(), 200, share).loss_sum(ROWS)
        kept.append(sum(sizes))
    assert kept[0] > kept[1] > kept[2]


def test_once_it_goes_on_without_graphs_packs_are_as_large_as_their_rows(caplog: pytest.LogCaptureFixture) -> None:
    passes = GraphedPasses(lambda one: one.ids.sum(), 300, 64_000, CPU)
    rows = [Row("a:1", [1] * 12_700, 1)]
    assert passes.make(rows).ids.shape[1] == 64_000  # the first is as large as any there will be
    passes.go_without()
    assert passes.make(rows).ids.shape[1] == 12_800
    assert caplog.messages == ["Too little memory for CUDA graphs; going on without."]
