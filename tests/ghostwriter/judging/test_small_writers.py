"""Writers of 50, 100 and 200 answers, from the split over the intervals to the gate: adapters are simulated, the rest is what runs.

A question has a style and a loss of its own, which arms share; an arm adds its level and some luck. The spreads are those of the
demo's writer (training/LOG.md).
"""

from pathlib import Path

import numpy as np
import pytest

from ghostwriter.distilling.split import split
from ghostwriter.judging.gate import Decision, decide
from ghostwriter.pairs import Pair
from ghostwriter.writer_settings import Evaluation, Gate
from tests.distill_case import make_writer
from training.bootstrap import Measured, mean, ratio
from training.contract import EvaluateResult
from training.measure.measures import differences, scores

FIGURES = {"rep4": 0.01, "unfinished_share": 0.0, "empty_share": 0.0, "length_ratio": 1.0, "verbatim_share": 0.0}
LEVELS = {"base": (0.2, 0.5), "champion-v1": (0.5, 0.1), "writer": (1.0, 0.0)}
"""Arm to style, and to how far its loss lies above the writer's floor."""


def heldout(answers: int) -> int:
    """How many questions a writer of so many answers holds out."""
    writer = make_writer().model_copy(update={"evaluation": Evaluation()})
    return len(split(writer, [Pair(f"a{number}", f"q{number}", "?", ".") for number in range(answers)])[1])


def night(questions: int, gain: float, seed: int) -> Decision:
    """The verdict on an adapter whose style is better than the champion's by `gain`, and its loss by a third of that."""
    draw = np.random.default_rng(seed)
    manner, hard = draw.normal(0, 0.25, questions), draw.normal(3, 0.4, questions)
    tokens = draw.lognormal(5, 0.6, questions)

    def arm(style: float, loss: float) -> dict[str, Measured]:
        found = {name: mean([value] * questions) for name, value in FIGURES.items()}
        found |= {view: mean(style + manner + draw.normal(0, 0.15, questions)) for view in ("style", "style_grammar")}
        return found | {"heldout_loss": ratio(tokens * (hard + loss + draw.normal(0, 0.05, questions)), tokens)}

    champion_style, champion_loss = LEVELS["champion-v1"]
    levels = {**LEVELS, "distilled": (champion_style + gain, champion_loss - gain / 3)}
    measured = {name: arm(*level) for name, level in levels.items()}
    result = EvaluateResult(
        samples=Path("samples.jsonl"),
        candidate="distilled",
        scores=scores(measured, seed),
        differences=differences(measured, "distilled", seed),
        withheld={"ability": "it was not asked for"},
        reloaded=1.0,
        questions=questions,
        run_id=None,
        seconds=1.0,
    )
    return decide(result, Gate())


@pytest.mark.parametrize(("answers", "least"), [(50, 8), (100, 18), (200, 18)])
def test_a_clear_gain_is_promoted_and_chance_is_not(answers: int, least: int) -> None:
    questions = heldout(answers)
    assert questions >= least
    assert sum(night(questions, 0.4, seed).promote for seed in range(20)) >= 19
    assert sum(night(questions, 0.0, seed).promote for seed in range(40)) <= 4


def test_a_verdict_on_few_questions_says_what_it_can_tell() -> None:
    promoted, undecided = night(12, 0.4, 1), night(12, 0.02, 1)
    assert promoted.promote
    assert promoted.summary.endswith(
        "on 12 questions. These are few: the report shows the answers themselves. Not measured: ability, it was not asked for."
    )
    assert not undecided.promote
    assert "On 12 questions" in undecided.summary or "may write less like" in undecided.summary


def test_fewer_than_five_questions_promote_nobody() -> None:
    found = night(4, 0.4, 1)
    assert not found.promote
    assert "4 held-out questions, at least 5 are needed" in found.summary
