"""AdamW with float32 masters, and the learning rate written out."""

import copy

import pytest
import torch
from torch import nn

from tests.training.conftest import recipe
from training.fit.optimizer import MasterAdamW, learning_rate


def parameter(dtype: torch.dtype) -> nn.Parameter:
    return nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float32).reshape(3, 4).to(dtype))


def test_in_float32_it_is_plain_adamw_with_clipping() -> None:
    ours, theirs = parameter(torch.float32), parameter(torch.float32)
    optimizer, reference = MasterAdamW({"w": ours}, 0.1), torch.optim.AdamW([theirs], lr=0.01, weight_decay=0.1)
    for step in range(3):
        (ours**2 * (step + 1)).sum().backward()
        optimizer.collect_gradients()
        norm = optimizer.step(0.01, max_norm=1.0)
        (theirs**2 * (step + 1)).sum().backward()
        expected_norm = nn.utils.clip_grad_norm_([theirs], 1.0)
        reference.step()
        reference.zero_grad()
        assert float(norm) == pytest.approx(float(expected_norm))
    torch.testing.assert_close(ours, theirs)


def test_updates_too_small_for_bf16_are_not_lost() -> None:
    weight = nn.Parameter(torch.ones(1, dtype=torch.bfloat16))
    optimizer = MasterAdamW({"w": weight}, 0.0)
    for _ in range(100):  # each update is 1e-4; a bf16 step below 1 is 4e-3
        weight.sum().backward()
        optimizer.collect_gradients()
        optimizer.step(1e-4, max_norm=10.0)
    assert float(weight.detach()) == pytest.approx(0.99, abs=4e-3)


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    weight = parameter(torch.float32)
    before = weight.detach().clone()
    optimizer = MasterAdamW({"w": weight}, 0.0)
    (weight * float("inf")).sum().backward()
    optimizer.collect_gradients()
    assert not optimizer.step(0.1, max_norm=1.0).isfinite()
    assert torch.equal(weight, before)


def test_a_state_goes_on_exactly() -> None:
    first = parameter(torch.bfloat16)
    optimizer = MasterAdamW({"w": first}, 0.0)

    def step(target: nn.Parameter, by: MasterAdamW) -> None:
        (target**2).sum().backward()
        by.collect_gradients()
        by.step(0.01, max_norm=1.0)

    step(first, optimizer)
    second = parameter(torch.bfloat16)
    other = MasterAdamW({"w": second}, 0.0)
    other.load_state(optimizer.state())
    step(second, other)
    step(first, optimizer)
    assert torch.equal(first, second)


def test_everything_it_will_ever_hold_is_there_before_the_first_step_and_stays() -> None:
    weight = parameter(torch.bfloat16)
    optimizer = MasterAdamW({"w": weight}, 0.0)

    def held() -> dict[str, int]:
        state = optimizer.state()
        return {name: tensor.data_ptr() for name, tensor in {**state["masters"], **state["adamw"]["state"][0]}.items()}

    before = held()
    assert set(before) == {"w", "step", "exp_avg", "exp_avg_sq"}
    (weight**2).sum().backward()
    optimizer.collect_gradients()
    optimizer.step(0.01, max_norm=1.0)
    optimizer.load_state(copy.deepcopy(optimizer.state()))  # a card full to the brim has no room for a second one
    assert held() == before


def test_a_state_of_other_parameters_is_refused() -> None:
    state = MasterAdamW({"w": parameter(torch.float32)}, 0.0).state()
    with pytest.raises(ValueError, match="other parameters"):
        MasterAdamW({"v": parameter(torch.float32)}, 0.0).load_state(state)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("cosine", [0.5, 1.0, 0.8535533905932737, 0.5, 0.14644660940672627]),
        ("linear", [0.5, 1.0, 0.75, 0.5, 0.25]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_learning_rate_warms_up_and_decays(schedule: str, expected: list[float]) -> None:
    settings = recipe(schedule=schedule, warmup_share=0.2, learning_rate=1.0)
    assert [learning_rate(settings, step, 5) for step in range(5)] == pytest.approx(expected)


class Travels:
    """Two processes, of which this one notes what it sends; nothing comes from the other."""

    count = 2

    def __init__(self) -> None:
        self.sent: list[list[float]] = []

    def begin_sum(self, tensor: torch.Tensor) -> int:
        self.sent.append(tensor.tolist())
        return len(self.sent)

    def finish(self, begun: list[int]) -> None:
        assert begun == [1, 2, 3, 4]


def test_full_buckets_travel_during_the_last_backward_pass_and_the_rest_after(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.fit.optimizer.BUCKET_VALUES", 1)
    weights = {name: nn.Parameter(torch.ones(1)) for name in ("first", "second", "unused", "last")}
    optimizer, processes = MasterAdamW(weights, 0.0), Travels()
    seen: list[int] = []
    for is_last in (False, True):
        if is_last:
            optimizer.sum_as_ready(processes)  # type: ignore[arg-type]
        entered = weights["first"] * 2.0
        entered.register_hook(lambda _gradient: seen.append(len(processes.sent)))
        (weights["last"] * (weights["second"] * 3.0 * entered)).sum().backward()
        optimizer.collect_gradients()
    assert seen == [0, 1]  # only `last` could go: the unused one before `second` never fills up
    optimizer.sum_gradients(processes)  # type: ignore[arg-type]
    assert processes.sent == [[12.0], [0.0], [12.0], [12.0]]
    optimizer.step(0.1, max_norm=100.0)
    assert float(weights["last"].detach()) == pytest.approx(0.9) and float(weights["unused"].detach()) == 1.0
