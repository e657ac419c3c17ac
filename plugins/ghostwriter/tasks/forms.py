"""Fields of the DAGs' forms. What matters most has no section and is open at first; the rest is folded away under a name.

A form follows from the writer file and the code alone. What changes by itself (which datasets there are, what an answer costs) stands
on the page: Airflow makes a new version of a DAG whenever its form reads differently, and reads it every half minute.
"""

from airflow.sdk import Param

from ghostwriter.writer import Writer
from training.contract import TRAINING_FILES, MultiplicationData, recipe_names

ARMS = sorted(TRAINING_FILES)
ARM_NAMES = {
    "direct": "direct: the writer's own answers",
    "distilled": "distilled: the teacher's answers",
    "mixed": "mixed: both",
    "self-instruct": "self-instruct: answers the base wrote itself (an ablation)",
    "inverse": "inverse: the writer's own answers, from plain notes",
    "inverse+distilled": "inverse+distilled: these and the teacher's answers",
    "staged": "staged: the teacher's answers, then the writer's own",
    "distilled-top": "distilled-top: the third of the teacher's that is most like the writer",
    "distilled-random": "distilled-random: any third of the teacher's, to compare with",
    "preferred": "preferred: distilled, then the writer's answers against the student's own",
    "inverse+preferred": "inverse+preferred: the same after inverse",
}
EXAM = "Examination"
MODE_NAMES = {
    "distilled": "distilled: a stronger teacher answers",
    "self-instruct": "self-instruct: the student answers itself (an ablation)",
    "direct": "direct: nobody is asked, nothing is spent",
    "inverse": "inverse: a stronger teacher rewrites the writer's answers plainly",
    "inverse+distilled": "inverse+distilled: it rewrites these, and answers as well",
}


def collecting(_writer: Writer) -> dict[str, Param]:
    """How much is read."""
    why = "Otherwise the reading stops where the archive is up to date. Only a full one notices all answers that were deleted, and "
    why += "believes it when more than a tenth are missing at once."
    return {"full": Param(False, type="boolean", title="Read everything again", description=why)}


def distilling(writer: Writer) -> dict[str, Param]:
    """What is asked for, what it costs, and of which answers."""
    cost = "What an answer costs stands on Ghostwriter's page, at the lengths of the writer's own; the run's log gives the exact plan."
    again = "Without it a run stops that would buy more than a fifth of what the ledger holds again: after a change of model or prompt."
    only = "Writes plan and cost into the log of the task estimate_cost, and ends there: nothing is asked, nothing is spent."
    return {
        "wanted": Param(writer.teacher.answers, type="integer", minimum=1, title="Answers wanted", description=cost),
        "only_estimate": Param(False, type="boolean", title="Only say what it would cost", description=only),
        "mode": Param(
            writer.mode,
            enum=list(writer.modes),
            values_display={mode: MODE_NAMES[mode] for mode in writer.modes},
            title="Whose answers",
            description="The writer file's teacher answers; the student where it has [student].",
        ),
        "buy_again": Param(False, type="boolean", title="Buy again", description=again, section="Cost"),
        "answers": _folder("Snapshot of answers", "What a night collected, cleaned.", "Which answers"),
        "nightly": Param(
            False,
            type="boolean",
            title="Train on it tonight",
            description="Other settings than the writer file's are an experiment, which trains nothing by itself unless this is on.",
            section="What follows",
        ),
    }


def training(writer: Writer) -> dict[str, Param]:
    """One arm to train, the writer's by default."""
    arm = Param(
        writer.training.arm, enum=ARMS, values_display=ARM_NAMES, title="Arm", description="Whose answers the adapter is trained on."
    )
    return {"arm": arm, **_recipe_and_dataset(writer)}


def comparing(writer: Writer) -> dict[str, Param]:
    """Several arms to train: the writer's own pairs alone, and what the nightly run trains on."""
    arms = Param(
        list(dict.fromkeys(["direct", writer.training.arm])),
        type="array",
        items={"type": "string", "enum": ARMS},
        examples=ARMS,
        values_display=ARM_NAMES,
        minItems=1,
        uniqueItems=True,
        title="Arms to train",
        description="One after the other. Base, few-shot and the champion need no training and are always there.",
    )
    return {"arms": arms, **_recipe_and_dataset(writer)}


def rolling_back(_writer: Writer) -> dict[str, Param]:
    """Which version, and why."""
    return {
        "why": Param(
            "rolled back by hand", type="string", minLength=3, maxLength=500, title="Why", description="Kept in MLflow with your name."
        ),
        "version": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            title="Version",
            description="Empty: the champion before this one. MLflow lists them.",
        ),
    }


def multiplying() -> dict[str, Param]:
    """What the multiplication check trains on and asks."""
    return {
        "recipe": Param("smollm2-135m-arithmetic-cpu", enum=recipe_names(), title="Recipe", description="GPU: smollm2-135m-arithmetic."),
        "samples": _number(64, "samples", "Samples", "Worked chains to train on. The article: 10000."),
        "digits": _number(1, "digits", "Digits", "Digits of a factor, at most. The article: 3."),
        "epochs": Param(1, type="integer", minimum=1, maximum=100, title="Epochs", description="Rounds through the data. The article: 3."),
        "phrasings": _number(1, "phrasings", "Phrasings", "Ways of asking to train on. With one, other words are not understood.", "Data"),
        "pairs": _number(500, "pairs", "Unseen pairs", "Pairs to examine that are in no training row; fewer where there are fewer.", EXAM),
        "reworded_pairs": _number(0, "reworded_pairs", "Reworded", "Of these, asked again in eight other ways. On a GPU: 500.", EXAM),
        "beyond_pairs": _number(0, "beyond_pairs", "Beyond training", "Pairs of numbers one digit longer. On a GPU: 500.", EXAM),
        "ability": Param(False, type="boolean", title="Other abilities", description="What else it can, before and after.", section=EXAM),
    }


def tidying() -> dict[str, Param]:
    """Whether anything is touched."""
    would = "Writes into the logs what would be removed, and how much it is; nothing is touched."
    return {"dry_run": Param(False, type="boolean", title="Only say what would go", description=would)}


def _number(default: int, field: str, title: str, description: str, section: str | None = None) -> Param:
    """A whole number of the multiplication check, within the bounds of the field it becomes; folded away under its section, if any."""
    schema = MultiplicationData.model_json_schema()["properties"][field]
    bounds = {name: schema[name] for name in ("minimum", "maximum")}
    return Param(default, type="integer", title=title, description=description, **bounds, section=section)


def _recipe_and_dataset(writer: Writer) -> dict[str, Param]:
    """How it is trained, and on what."""
    return {
        "recipe": Param(
            writer.training.recipe, enum=recipe_names(), title="Recipe", description="Base model and settings: a file in training/recipes."
        ),
        "dataset": _folder("Dataset", "Made by the distilling DAG; an earlier one can be trained on again.", "Which data"),
    }


def _folder(title: str, description: str, section: str) -> Param:
    """A finished snapshot, which the run looks up (`ghostwriter.snapshot.find`)."""
    which = f"{description} Empty: the newest one. Else its name or the first digits of it, as Ghostwriter's page lists them."
    return Param(None, type=["null", "string"], maxLength=4_096, title=title, description=which, section=section)
