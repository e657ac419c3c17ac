"""The gate's word on real evaluations of adapters that are known to be good or bad (benchmarks/planted_adapters.py made them)."""

from pathlib import Path

import pytest

from ghostwriter.judging.gate import Decision, decide
from ghostwriter.writer_settings import Gate
from training.contract import EvaluateResult, read_json

OPEN = Gate(
    max_rep4_rise=1,
    max_unfinished_share=1,
    min_length_ratio=0.1,
    max_style_drop=1,
    max_ability_drop=0.3,
)
"""Open where these adapters must fail: they were asked greedily, were cut at 64 tokens, and loop."""
EVALUATIONS = Path(__file__).parent / "planted"


def decision(name: str, thresholds: Gate) -> Decision:
    return decide(read_json(EvaluateResult, EVALUATIONS / f"{name}.json"), thresholds)


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("looping", "it repeats itself (46.3% of its 4-word runs are repeats, at most 5.0%)"),
        ("copying", "it copies the training text (100.0% of its text stands word for word in the training text, at most 2.0%)"),
        (
            "forgetful",
            "it has forgotten what the base could do (other tasks solved -0.39 [-0.58, -0.24] against base, may not certainly fall by 0.1)",
        ),
        ("stranger", "it may write less like the writer than champion (style -0.49 [-0.67, -0.30] against champion, may fall by 0.05)"),
    ],
)
def test_a_bad_adapter_is_refused_for_what_is_wrong_with_it(name: str, fault: str) -> None:
    refused = decision(name, Gate())
    assert not refused.promote
    assert fault in refused.summary


def test_an_adapter_equal_to_the_champion_is_not_promoted_even_by_an_open_gate() -> None:
    assert decision("equal", OPEN).summary == (
        "Not promoted: it is not certainly better than champion "
        "(style +0.00 [+0.00, +0.00]; loss on the writer's answers +0.000 [+0.000, +0.000] nats a token)."
        " On 8 questions only a large difference is certain, so this says little against it; more answers would tell."
    )


def test_the_first_champion_beats_the_base() -> None:
    promoted = decision("champion", OPEN)
    assert promoted.promote
    assert promoted.summary == (
        "Promote: better than base (style +0.35 [+0.14, +0.58]; loss on the writer's answers -0.474 [-0.584, -0.404] nats a token) "
        "and within every limit, on 8 questions. These are few: the report shows the answers themselves."
    )


def test_a_better_adapter_becomes_the_champion() -> None:
    assert decision("better", OPEN).summary == (
        "Promote: better than champion (loss on the writer's answers -0.396 [-0.462, -0.343] nats a token) "
        "and within every limit, on 8 questions. These are few: the report shows the answers themselves."
    )


@pytest.mark.parametrize("name", ["looping", "copying", "forgetful", "stranger"])
def test_even_an_open_gate_refuses_a_bad_adapter(name: str) -> None:
    assert not decision(name, OPEN).promote


def test_the_writer_ranks_above_the_trained_arm_above_the_base_in_style() -> None:
    scores = read_json(EvaluateResult, EVALUATIONS / "better.json").scores
    ranked = sorted((arm for arm in scores if "style" in scores[arm]), key=lambda arm: -scores[arm]["style"].value)
    assert ranked == ["writer", "better", "champion", "base"]
