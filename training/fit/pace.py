"""How many steps of a training fit into the recipe's `max_seconds` on this machine, as its first steps tell."""

import logging
from collections import deque
from dataclasses import replace

from training.contract import Recipe
from training.fit.checkpoint import State
from training.processes import Processes

log = logging.getLogger(__name__)

LEAST_STEPS, MOST_STEPS = 3, 8
"""Steps the speed is measured over, the newest ones; the first of a process is left out, since it warms up."""
SETTLED_SHARE = 0.75
"""Of the time; after it the number of steps only falls, so that the learning rate ends its decay."""


class Pace:
    """Watches the steps of a process and says how many the training has; `State.total_steps` keeps it.

    A machine that slows down ends in time all the same; one that was busy with something else for a while gets its steps back.
    """

    def __init__(self, recipe: Recipe, processes: Processes) -> None:
        self._limit, self._processes = recipe.max_seconds, processes
        self._newest: deque[tuple[int, float]] = deque(maxlen=MOST_STEPS)
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
        if len(self._newest) < LEAST_STEPS:
            return state
        count = self._processes.count
        spent, measured = self._processes.total(state.seconds, sum(took for _, took in self._newest))
        speed = sum(shown for shown, _ in self._newest) / (measured / count)
        only_falls = state.total_steps and spent / count > SETTLED_SHARE * self._limit
        possible = coming[: state.total_steps - state.step] if only_falls else coming
        total = state.step + steps_that_fit(possible, self._limit - spent / count, speed)
        if not state.total_steps and total < state.step + len(coming):
            words = "%d of %d steps fit into max_seconds = %g at %.0f tokens/s."
            log.warning(words, total, state.step + len(coming), self._limit, speed)
        return replace(state, total_steps=total)


def steps_that_fit(tokens: list[int], seconds: float, tokens_per_second: float) -> int:
    """How many of the coming steps, given by their tokens, end within `seconds`."""
    fitting, needed = 0, 0.0
    for step in tokens:
        needed += step / tokens_per_second
        if needed > seconds:
            break
        fitting += 1
    return fitting
