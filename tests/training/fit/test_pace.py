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


def test_a_machine_that_slows_down_ends_in_time() -> None:
    pace = Pace(recipe(max_seconds=30), Processes())
    decided = State(**{**vars(FRESH), "total_steps": 20})
    coming = [100] * 20
    slow = after(pace, decided, [1.0] * 4 + [3.0] * 4, coming)
    assert slow[:4] == [20, 20, 20, 20]
    assert slow == sorted(slow, reverse=True)
    assert slow[-1] == 8 + 4, "16 s are over, and four more steps of 3 s fit into the rest"


def test_a_machine_that_was_busy_at_first_gets_its_steps_back_but_none_after_half_the_time() -> None:
    coming = [100] * 64
    assert after(Pace(recipe(max_seconds=40), Processes()), FRESH, [3.0] * 4 + [1.0] * 4, coming)[-5:] == [13, 16, 21, 32, 32]
    late = State(**{**vars(FRESH), "seconds": 16.0, "total_steps": 20})
    assert after(Pace(recipe(max_seconds=30), Processes()), late, [0.1] * 8, coming) == [20] * 8


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
