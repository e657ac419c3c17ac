from pathlib import Path

import pytest

from ghostwriter.mlflow_runs.arm_goals import arms_report, goal, guards_not_held
from ghostwriter.writer_settings import Gate
from tests.ghostwriter.judging.evaluations import figure
from training.contract import EvaluateResult

DISTILLED = {"style": 0.6, "style_grammar": 0.6, "rep4": 0.02, "verbatim_share": 0.0, "unfinished_share": 0.0, "ability": 0.4}
ARMS = {
    "inverse": {**DISTILLED, "style": 0.75, "style_grammar": 0.69, "ability": 0.45},  # wanted: 0.10 and 0.08 more
    "staged": {**DISTILLED, "style": 0.65, "rep4": 0.12, "verbatim_share": 0.015},
    "writer": {**DISTILLED, "style": 1.0, "style_grammar": 1.0, "rep4": 0.01},
}


@pytest.fixture
def result() -> EvaluateResult:
    """A comparison with `distilled` as the candidate; every interval reaches 0.02 to both sides."""
    return EvaluateResult(
        samples=Path("samples.jsonl"),
        candidate="distilled",
        scores={name: {key: figure(value) for key, value in arm.items()} for name, arm in {"distilled": DISTILLED, **ARMS}.items()},
        differences={name: {key: figure(round(DISTILLED[key] - arm[key], 6)) for key in arm} for name, arm in ARMS.items()},
        withheld={},
        reloaded=1.0,
        questions=200,
        run_id=None,
        seconds=1.0,
    )


@pytest.mark.parametrize(
    ("arm", "view", "verdict"),
    [("inverse", "style", "reached"), ("inverse", "style_grammar", "undecided"), ("staged", "style", "missed")],
)
def test_a_goal_is_judged_by_the_whole_interval(result: EvaluateResult, arm: str, view: str, verdict: str) -> None:
    gain, wanted, found = goal(result, arm, view)

    assert found == verdict
    assert gain.value == pytest.approx(ARMS[arm][view] - 0.6)
    assert wanted == pytest.approx(0.10 if view == "style" else 0.08)


def test_where_distilled_is_as_near_as_the_writer_there_is_no_gap(result: EvaluateResult) -> None:
    nearer = {**result.differences, "writer": {**result.differences["writer"], "style": figure(0.06)}}

    assert goal(result.model_copy(update={"differences": nearer}), "inverse", "style")[2] == "no gap"


def test_guards_are_the_gates_limits(result: EvaluateResult) -> None:
    assert guards_not_held(result, "inverse", Gate()) == []
    assert guards_not_held(result, "staged", Gate()) == ["rep4 fails", "verbatim_share open"]


def test_the_report_has_the_goals_and_says_what_to_fill_in(result: EvaluateResult) -> None:
    report = arms_report(result, {"base, recipe": "Qwen2.5-7B"}, Gate())

    assert "| base, recipe | Qwen2.5-7B |\n| card | ... |" in report
    assert "| inverse | 0.150 [0.130, 0.170], 0.100 | reached | 0.090 [0.070, 0.110], 0.080 | undecided | none |" in report


def test_without_distilled_there_are_figures_and_no_goals(result: EvaluateResult) -> None:
    report = arms_report(result.model_copy(update={"candidate": "direct"}), {}, Gate())

    assert "200 held-out questions" in report
    assert "beside `distilled`" not in report
