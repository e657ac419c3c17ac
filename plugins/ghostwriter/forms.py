"""Fields that the forms of several DAGs share."""

from airflow.sdk import Param

from ghostwriter.writer import Writer
from training.contract import TRAINING_FILES, recipe_names

ARMS = sorted(TRAINING_FILES)


def dataset_and_recipe(writer: Writer) -> dict[str, Param]:
    """What is trained on, and how."""
    return {
        "dataset": Param(None, type=["null", "string"], title="Dataset", description="A folder; empty: the newest one."),
        "recipe": Param(writer.training.recipe, enum=recipe_names(), title="Recipe", description="A file in training/recipes."),
    }


def arm(writer: Writer) -> Param:
    """One arm to train: the writer's by default."""
    return Param(writer.training.arm, enum=ARMS, title="Arm", description="What to train on.")


def arms(writer: Writer) -> Param:
    """Several arms to train: the writer's own pairs alone, and what the nightly run trains on."""
    return Param(
        list(dict.fromkeys(["direct", writer.training.arm])),
        type="array",
        items={"type": "string", "enum": ARMS},
        examples=ARMS,
        minItems=1,
        uniqueItems=True,
        title="Arms to train",
        description="Base, few-shot and the champion need no training and are always there.",
    )
