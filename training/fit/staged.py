"""Arms that are trained in two stages, the second from the first's adapter.

staged      on the teacher's answers, then on the writer's own at half the rate; limits of steps and time hold for both together
preferred   as `distilled` (or `inverse`) is, then one epoch on pairs of answers (training.fit.preference) at a fiftieth of the rate

Each stage is a training of its own, killed and gone on with like any other; the first has a run folder inside that of the whole.
On a machine whose run folder does not survive it (data by URL) only the second stage goes on from a checkpoint.
"""

from pathlib import Path
from typing import Any

from training.contract import FIRST_STAGE, Recipe, TrainRequest, TrainResult

FIRST_FOLDER = "first-stage"
SECOND_RATE = 0.5
"""Of the first stage's learning rate. 1e-3 and then 5e-4, two epochs each, gave SmolLM2-135M a style of 0.71 (sampled; 0.65 to 0.77)
where the first stage alone gave 0.66, on 43 questions of the demo's writer (one H200, 2026-11-30)."""


PREFERENCE_RATE = 0.02
"""Of the first stage's: 2e-5 after 1e-3 on SmolLM2-135M; at 7B 2e-6, where 1e-6 to 5e-6 is usual."""


def first_stage(request: TrainRequest) -> TrainRequest:
    """The training of the arm that is begun with, from where the whole starts; for `staged` in half of its time and steps."""
    recipe = _halved(request.recipe) if request.arm == "staged" else request.recipe
    recipe = recipe.model_copy(update={"keep_epochs": False})
    tracking = request.tracking
    if tracking:
        tracking = tracking.model_copy(update={"run_name": f"{tracking.run_name}, first stage", "run_id": None})
    folder = request.run_folder / FIRST_FOLDER
    return request.model_copy(update={"run_folder": folder, "arm": FIRST_STAGE[request.arm], "recipe": recipe, "tracking": tracking})


def second_stage(request: TrainRequest, adapter: Path) -> TrainRequest:
    """Training on the writer's own answers, or on pairs, from the first stage's adapter."""
    if request.arm != "staged":
        changes: dict[str, Any] = {"learning_rate": request.recipe.learning_rate * PREFERENCE_RATE, "warm_steps": None, "epochs": 1}
        return request.model_copy(update={"start": adapter, "recipe": request.recipe.model_copy(update=changes)})
    recipe = _halved(request.recipe)
    changes = {"learning_rate": recipe.learning_rate * SECOND_RATE, "warm_steps": None}
    if request.start and recipe.warm_steps:
        changes["max_steps"] = recipe.warm_steps
    return request.model_copy(update={"arm": "direct", "start": adapter, "recipe": recipe.model_copy(update=changes)})


def joined(first: TrainResult, second: TrainResult) -> TrainResult:
    """What both stages gave: the second's adapter."""
    planned = [each.planned_steps or each.steps for each in (first, second)]
    return second.model_copy(
        update={
            "rows": first.rows + second.rows,
            "dropped": {reason: first.dropped.get(reason, 0) + second.dropped.get(reason, 0) for reason in first.dropped | second.dropped},
            "steps": first.steps + second.steps,
            "planned_steps": sum(planned),
            "tokens": first.tokens + second.tokens,
            "seconds": round(first.seconds + second.seconds, 3),
            "first_loss": first.first_loss,
        }
    )


def _halved(recipe: Recipe) -> Recipe:
    """The limits of a training for each of its two stages."""
    halves = {name: -(-limit // 2) for name in ("max_steps", "warm_steps") if (limit := getattr(recipe, name))}
    if recipe.max_seconds:
        halves["max_seconds"] = recipe.max_seconds / 2
    return recipe.model_copy(update=halves)
