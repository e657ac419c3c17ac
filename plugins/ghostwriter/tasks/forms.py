"""Fields of the DAGs' forms. What matters most has no section and is open at first; the rest is folded away under a name."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from airflow.sdk import Param

from ghostwriter.home import Home
from ghostwriter.snapshot import MANIFEST
from ghostwriter.tasks.form_estimate import form_estimate
from ghostwriter.writer import Writer
from training.contract import TRAINING_FILES, recipe_names

ARMS = sorted(TRAINING_FILES)
NEWEST = "the newest one"
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
}
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
    home = Home.default()
    estimate = form_estimate(writer, home)
    again = "Without it a run stops that would buy more than a fifth of what the ledger holds again: after a change of model or prompt."
    only = "Writes plan and cost into the log of the task estimate_cost, and ends there: nothing is asked, nothing is spent."
    return {
        "wanted": Param(writer.teacher.answers, type="integer", minimum=1, title="Answers wanted", description=estimate),
        "only_estimate": Param(False, type="boolean", title="Only say what it would cost", description=only),
        "mode": Param(
            writer.mode,
            enum=list(writer.modes),
            values_display={mode: MODE_NAMES[mode] for mode in writer.modes},
            title="Whose answers",
            description=f"{writer.teacher.model} is this writer's teacher. The student answers where the writer file has [student].",
        ),
        "buy_again": Param(False, type="boolean", title="Buy again", description=again, section="Cost"),
        "answers": _folder(writer, home.answers(writer.stem), "Snapshot of answers", "What the night collected, cleaned.", "Which answers"),
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


def _recipe_and_dataset(writer: Writer) -> dict[str, Param]:
    """How it is trained, and on what."""
    folder = Home.default().datasets(writer.stem)
    return {
        "recipe": Param(
            writer.training.recipe, enum=recipe_names(), title="Recipe", description="Base model and settings: a file in training/recipes."
        ),
        "dataset": _folder(writer, folder, "Dataset", "Made by the distilling DAG, or an earlier one to train on again.", "Which data"),
    }


def _folder(writer: Writer, parent: Path, title: str, description: str, section: str) -> Param:
    """One of the finished snapshots under `parent`, newest first, named by its date and the first digits of its digest."""
    finished = {path.parent: path.stat().st_mtime for path in parent.glob(f"*/{MANIFEST}")}
    newest_first = sorted(finished, key=lambda path: -finished[path])
    zone = ZoneInfo(writer.schedule.timezone)
    names = {str(path): f"{datetime.fromtimestamp(finished[path], zone):%d %b %Y, %H:%M}: {path.name[:8]}" for path in newest_first}
    return Param(
        None,
        type=["null", "string"],
        enum=[None, *names],
        values_display={"null": NEWEST, **names},
        title=title,
        description=description,
        section=section,
    )
