"""From what somebody wants multiplied to the request files of its stages; the command line and the DAG both plan with this.

Everything is named by the digest of what its result depends on, so the same wish goes on where it stopped. Below `home`:

    datasets/multiplication/DIGEST/     the dataset
    runs/multiplication/DIGEST/         one training and its examination: `train` and `examine` (or `examine-without-ability`)
"""

import hashlib
from pathlib import Path

from training.arithmetic.data import NAME, write_dataset
from training.contract import (
    REQUEST_FILE,
    ArmRequest,
    ExamineRequest,
    ExamineResult,
    MultiplicationData,
    Recipe,
    Tracking,
    TrainRequest,
    TrainResult,
    load_recipe,
    write_json,
)

BASE, ONE_EXAMPLE, EPOCH = "base", "one-example", "epoch-"
"""Names of the arms of an examination; `epoch-N` is the adapter at the end of epoch N."""
TABLE_FILE = "table.md"
"""In an examination's run folder: the article's table beside the figures reached."""


def plan_training(
    home: Path, data: MultiplicationData, recipe_name: str, epochs: int | None, tracking: Tracking | None, models: Path | None = None
) -> TrainRequest:
    """Write the dataset and the request that trains on it. `epochs` None leaves the recipe's. Raises RecipeError or QuestionError."""
    recipe = load_recipe(recipe_name)
    if epochs is not None:
        recipe = Recipe.model_validate({**recipe.model_dump(), "epochs": epochs})
    dataset = write_dataset(home / "datasets" / NAME, data)
    digest = hashlib.sha256(f"{dataset.name}\n{recipe.model_dump_json()}".encode()).hexdigest()[:16]
    folder = home / "runs" / NAME / digest / "train"
    request = TrainRequest(
        run_folder=folder, dataset=dataset, arm="direct", recipe=recipe, models=models or home / "models", tracking=tracking
    )
    _write(request)
    return request


def plan_examination(
    training: TrainRequest, result: TrainResult, tracking: Tracking | None, *, ability: bool, batch: int | None = None
) -> ExamineRequest:
    """Write the request that examines the base, the base with one worked example, and the adapter of each epoch that was kept."""
    recipe = training.recipe
    adapters = [*zip(range(1, recipe.epochs), result.epoch_adapters, strict=False), (recipe.epochs, result.adapter)]
    arms = (
        ArmRequest(name=BASE),
        ArmRequest(name=ONE_EXAMPLE, examples=1),
        *(ArmRequest(name=f"{EPOCH}{epoch}", adapter=adapter) for epoch, adapter in adapters),
    )
    request = ExamineRequest(
        run_folder=training.run_folder.with_name("examine" if ability else "examine-without-ability"),
        dataset=training.dataset,
        base=recipe.base,
        revision=recipe.revision,
        precision=recipe.precision,
        arms=arms,
        batch=batch,
        ability=ability,
        models=training.models,
        tracking=tracking,
    )
    _write(request)
    return request


def headline(result: ExamineResult) -> dict[str, float]:
    """What one looks at first: shares before training and at its end, and the least of those on reworded questions."""
    last = list(result.scores.values())[-1]
    reworded = [score.chain for name, score in last.items() if name.startswith("reworded")]
    figures = {
        "base/product_share": result.scores[BASE]["unseen"].product,
        "unseen/product_share": last["unseen"].product,
        "unseen/chain_share": last["unseen"].chain,
    }
    return {**figures, **({"reworded/least_chain_share": min(reworded)} if reworded else {})}


def _write(request: TrainRequest | ExamineRequest) -> None:
    request.run_folder.mkdir(parents=True, exist_ok=True)
    write_json(request, request.run_folder / REQUEST_FILE)
