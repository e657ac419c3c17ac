"""The gate decides on numbers alone, and says why."""

import pytest

from ghostwriter.gate import decide
from ghostwriter.writer import Gate

WRITER = {"heldout_loss": 0.0, "rep4": 0.01, "unfinished_share": 0.0}
RIVAL = {"heldout_loss": 3.0, "rep4": 0.02, "unfinished_share": 0.0}


def candidate(loss: float = 2.9, rep4: float = 0.02, unfinished: float = 0.0) -> dict[str, float]:
    return {"heldout_loss": loss, "rep4": rep4, "unfinished_share": unfinished}


def test_a_lower_loss_within_the_limits_is_promoted() -> None:
    decision = decide(candidate(), RIVAL, WRITER, Gate(), "base")
    assert decision.promote
    assert decision.summary == "Promote: better than base, within every limit."


def test_a_tie_is_not_promoted() -> None:
    decision = decide(candidate(loss=3.0), RIVAL, WRITER, Gate(), "champion-v3")
    assert not decision.promote
    assert (
        decision.summary
        == "Not promoted: held-out loss 3.0000 is not better than champion-v3's 3.0000 (gain +0.0000, needed more than 0.0000)."
    )


def test_a_gain_below_the_margin_is_not_promoted() -> None:
    assert not decide(candidate(loss=2.95), RIVAL, WRITER, Gate(min_loss_gain=0.1), "base").promote


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (candidate(rep4=0.3), "repeated 4-grams 30.0% above 6.0% (the writer's own share plus the margin)"),
        (candidate(unfinished=0.5), "answers without an end 50.0% above 20.0% (the limit)"),
    ],
)
def test_a_better_loss_does_not_excuse_degenerate_answers(scores: dict[str, float], words: str) -> None:
    decision = decide(scores, RIVAL, WRITER, Gate(), "base")
    assert not decision.promote
    assert words in decision.summary


def test_every_number_stands_in_the_reasons_also_when_it_passed() -> None:
    assert len(decide(candidate(), RIVAL, WRITER, Gate(), "base").reasons) == 3
