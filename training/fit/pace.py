"""How many steps of a training fit into the recipe's `max_seconds` on this machine, as its first steps tell."""

import logging
from dataclasses import replace

from training.contract import Recipe
from training.fit.checkpoint import State
from training.processes import Processes

log = logging.getLogger(__name__)

MEASURED_STEPS = 3
"""Steps the speed is measured over; the first of a process is left out, since it warms up."""


class Pace:
    """Watches a process's first steps and then decides once how many steps the training has; `State.total_steps` keeps it."""

    def __init__(self, recipe: Recipe, processes: Processes) -> None:
        self._limit, self._processes = recipe.max_seconds, processes
        self._steps, self._tokens, self._seconds = 0, 0, 0.0

    def decide(self, state: State, tokens: int, seconds: float, coming: list[int]) -> State:
        """The state after a step of so many tokens and seconds, with `total_steps` once it is known.

        `coming` are the tokens of each step that is still planned.
        """
        if self._limit is None or state.total_steps:
            return state
        self._steps += 1
        if self._steps > 1:
            self._tokens, self._seconds = self._tokens + tokens, self._seconds + seconds
        if self._steps <= MEASURED_STEPS:
            return state
        spent, measured = self._processes.total(state.seconds, self._seconds)
        count = self._processes.count
        speed = self._tokens / (measured / count)
        fitting = steps_that_fit(coming, self._limit - spent / count, speed)
        if fitting < len(coming):
            log.warning(
                "%d of %d steps fit into max_seconds = %g at %.0f tokens/s; the rest is left out.",
                state.step + fitting,
                state.step + len(coming),
                self._limit,
                speed,
            )
        return replace(state, total_steps=state.step + fitting)


def steps_that_fit(tokens: list[int], seconds: float, tokens_per_second: float) -> int:
    """How many of the coming steps, given by their tokens, end within `seconds`."""
    fitting, needed = 0, 0.0
    for step in tokens:
        needed += step / tokens_per_second
        if needed > seconds:
            break
        fitting += 1
    return fitting
