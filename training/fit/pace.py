"""How many steps of a training fit into the recipe's `max_seconds` on this machine, as its first steps tell."""

import logging
from collections import deque
from dataclasses import replace

from training.contract import Recipe
from training.fit.checkpoint import State
from training.processes import Processes

log = logging.getLogger(__name__)

MEASURED_STEPS = 3
"""Steps the speed is measured over, the newest ones; the first of a process is left out, since it warms up."""


class Pace:
    """Watches the steps of a process and says how many the training has; `State.total_steps` keeps it.

    The number only falls: a machine that slows down ends in time all the same, and one that speeds up keeps its learning rates.
    """

    def __init__(self, recipe: Recipe, processes: Processes) -> None:
        self._limit, self._processes = recipe.max_seconds, processes
        self._newest: deque[tuple[int, float]] = deque(maxlen=MEASURED_STEPS)
        self._is_warm = False

    def decide(self, state: State, tokens: int, seconds: float, coming: list[int]) -> State:
        """The state after a step of so many tokens and seconds, with `total_steps` once it is known.

        `coming` are the tokens of each step that is still planned.
        """
        if self._limit is None:
            return state
        if self._is_warm:
            self._newest.append((tokens, seconds))
        self._is_warm = True
        if len(self._newest) < MEASURED_STEPS:
            return state
        count = self._processes.count
        spent, measured = self._processes.total(state.seconds, sum(took for _, took in self._newest))
        speed = sum(shown for shown, _ in self._newest) / (measured / count)
        planned = coming[: state.total_steps - state.step] if state.total_steps else coming
        fitting = steps_that_fit(planned, self._limit - spent / count, speed)
        if fitting < len(planned):
            words = "%d of %d steps fit into max_seconds = %g at %.0f tokens/s; the rest is left out."
            log.warning(words, state.step + fitting, state.step + len(planned), self._limit, speed)
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
