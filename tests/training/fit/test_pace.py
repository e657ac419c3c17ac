"""The number of steps follows from the machine's speed, and stays what it was when the training goes on after a kill."""

import logging
from collections.abc import Callable

import pytest

from tests.training.conftest import recipe
from training.contract import TrainRequest
from training.fit.checkpoint import State
from training.fit.pace import Pace, steps_that_fit
from training.fit.train import train
from training.processes import Processes
from training.signals import StopFlag

Make = Callable[..., TrainRequest]
FRESH = State("", step=0, micro_batch=1, tokens=0, seconds=0.0, first_loss=0.0, last_loss=0.0)


def test_steps_are_counted_by_their_tokens() -> None:
    assert steps_that_fit([100, 100, 300, 100], 5.0, 100.0) == 3
    assert steps_that_fit([100, 100], 0.5, 100.0) == 0
    assert steps_that_fit([100, 100], 50.0, 100.0) == 2


def after(pace: Pace, state: State, seconds: list[float], coming: list[int]) -> list[int]:
    """`total_steps` after each of some steps of 100 tokens; `coming` is the whole plan."""
    found = []
    for took in seconds:
        state = State(**{**vars(state), "step": state.step + 1, "seconds": state.seconds + took})
        state = pace.decide(state, 100, took, coming[state.step :])
        found.append(state.total_steps)
    return found


def test_the_first_step_says_nothing_of_the_speed(caplog: pytest.LogCaptureFixture) -> None:
    pace = Pace(recipe(max_seconds=20), Processes())
    with caplog.at_level(logging.WARNING):
        assert after(pace, FRESH, [9.0, 1.0, 1.0, 1.0], [100] * 64) == [0, 0, 0, 12]
    assert "12 of 64 steps fit into max_seconds = 20 at 100 tokens/s." in caplog.text


def test_without_a_limit_nothing_is_decided_and_a_fast_machine_cuts_nothing() -> None:
    assert after(Pace(recipe(), Processes()), FRESH, [1.0] * 5, [100] * 64) == [0] * 5
    assert after(Pace(recipe(max_seconds=1000), Processes()), FRESH, [1.0] * 4, [100] * 64)[-1] == 64


@pytest.mark.parametrize(
    ("costs", "steps"),
    [
        ([1.0] * 4 + [3.0] * 60, (15, 17)),
        ([3.0] * 4 + [1.0] * 60, (31, 32)),
        ([1.0] * 8 + [4.0] * 3 + [1.0] * 60, (30, 32)),
    ],
    ids=["slows down", "busy at first", "busy for a while"],
)
def test_a_machine_of_changing_speed_uses_its_time_and_ends_in_it(costs: list[float], steps: tuple[int, int]) -> None:
    """40 s; a step too many is what a speed measured over several steps may cost."""
    pace, state, coming = Pace(recipe(max_seconds=40), Processes()), FRESH, [100] * 64
    while not state.total_steps or state.step < state.total_steps:
        took = costs[state.step]
        state = State(**{**vars(state), "step": state.step + 1, "seconds": state.seconds + took})
        state = pace.decide(state, 100, took, coming[state.step :])
    assert steps[0] <= state.step <= steps[1]
    assert state.seconds <= 40 + costs[state.step]


def test_near_the_end_the_number_only_falls() -> None:
    late = State(**{**vars(FRESH), "seconds": 23.0, "total_steps": 20})
    assert after(Pace(recipe(max_seconds=30), Processes()), late, [0.1] * 8, [100] * 64) == [20] * 8


def test_a_training_ends_in_time_and_says_what_was_planned(request_training: Make) -> None:
    result = train(request_training("cut", epochs=10, max_seconds=1e-6), StopFlag())
    assert (result.steps, result.planned_steps) == (4, 30)


def test_a_warm_start_goes_on_from_the_champion_for_so_many_steps(request_training: Make) -> None:
    first = request_training("first", epochs=10, learning_rate=1e-2)
    fresh = train(first, StopFlag())
    warm = request_training("warm", epochs=10, warm_steps=2).model_copy(update={"start": fresh.adapter})
    result = train(warm, StopFlag())
    assert (result.steps, result.planned_steps) == (2, 2)
    assert result.first_loss < fresh.first_loss - 0.1


def test_warm_steps_count_only_with_an_adapter_to_start_from(request_training: Make) -> None:
    assert train(request_training("cold", warm_steps=2), StopFlag()).steps == 3


def test_older_recipes_keep_the_names_of_their_run_folders() -> None:
    assert "warm_steps" not in recipe().as_text()
    assert recipe(warm_steps=2).as_text() != recipe().as_text()
