"""The gate decides on figures alone, rightly for each kind of candidate, and says why in one line."""

import pytest

from ghostwriter.judging.content import Content
from ghostwriter.judging.gate import decide
from ghostwriter.writer_settings import Gate
from tests.ghostwriter.judging.evaluations import CANDIDATE, RIVAL, evaluation, figure
from training.contract import Estimate, EvaluateResult

EQUAL = {name: RIVAL[name] for name in CANDIDATE}


def content(low: float, high: float, withheld: str | None = None) -> Content:
    return Content(
        preferred=None if withheld else Estimate(value=(low + high) / 2, low=low, high=high, questions=60),
        agreement=0.9,
        withheld=withheld,
        wins=0,
        ties=0,
        losses=0,
        order_dependent=0,
        excluded={},
        agreement_pairs=24,
        agreement_excluded={},
        model="judge",
        rival="champion-v3",
        spent="0.0000",
    )


def test_a_truly_better_adapter_is_promoted() -> None:
    decision = decide(evaluation(), Gate())
    assert decision.promote
    assert decision.summary == (
        "Promote: better than champion-v3 (style +0.10 [+0.08, +0.12]; loss on the writer's answers -0.100 [-0.120, -0.080] nats a token) "
        "and within every limit, on 200 questions."
    )
    assert decision.champion == "3"


def test_one_question_proves_nothing_though_its_interval_has_no_width() -> None:
    decision = decide(evaluation().model_copy(update={"questions": 1}), Gate())
    assert not decision.promote
    assert decision.summary == "Not promoted: there are too few questions to tell (1 held-out question, at least 5 are needed)."
    assert decide(evaluation().model_copy(update={"questions": 5}), Gate()).promote


def test_figures_of_lm_eval_are_shown_and_too_many_for_a_moves_record() -> None:
    found = evaluation()
    extra = {name: {**figures, "lm_eval/arc_easy/acc": figures["style"]} for name, figures in found.scores.items()}
    decision = decide(found.model_copy(update={"scores": extra}), Gate())
    assert decision.promote and "lm_eval/arc_easy/acc" in decision.scores
    assert "lm_eval/arc_easy/acc" not in decision.numbers["scores"] and "style" in decision.numbers["scores"]


@pytest.mark.parametrize(
    ("changes", "summary"),
    [
        ({"rep4": 0.48}, "it repeats itself (48.0% of its 4-word runs are repeats, at most 6.0%)."),
        ({"unfinished_share": 0.5}, "it does not come to an end (50.0% of its answers have no end, at most 20.0%)."),
        (
            {"verbatim_share": 0.31},
            "it copies the training text (31.0% of its text stands word for word in the training text, at most 2.3%).",
        ),
        (
            {"ability": 0.35},
            "it has forgotten what the base could do ("
            "other tasks solved -0.45 [-0.47, -0.43] against base, may not certainly fall by 0.1).",
        ),
        (
            {"ability_loss": 3.6},
            "it has forgotten general language (loss on general text +0.50 [+0.48, +0.52] nats a token against base, may rise by 0.2).",
        ),
        (
            {"style": 0.20},
            "it may write less like the writer than champion-v3 (style -0.40 [-0.42, -0.38] against champion-v3, may fall by 0.05).",
        ),
        ({"length_ratio": 0.1}, "its answers are too short (0.10 times the writer's length, from 0.4 to 2.5 is allowed)."),
        ({"length_ratio": 4.0}, "its answers are too long (4.00 times the writer's length, from 0.4 to 2.5 is allowed)."),
        ({"empty_share": 0.3}, "it says nothing (30.0% of its answers are empty, at most 2.0%)."),
    ],
    ids=["loops", "never ends", "copies", "forgot tasks", "forgot language", "other style", "short", "long", "empty"],
)
def test_a_planted_fault_is_refused_in_one_line_however_good_the_rest(changes: dict[str, float], summary: str) -> None:
    decision = decide(evaluation(**changes), Gate())
    assert not decision.promote
    assert decision.summary == f"Not promoted: {summary}"


def test_an_adapter_equal_to_the_champion_is_not_promoted() -> None:
    decision = decide(evaluation(**EQUAL), Gate())
    assert not decision.promote
    assert decision.summary == (
        "Not promoted: it is not certainly better than champion-v3 (style +0.00 [-0.02, +0.02]; "
        "loss on the writer's answers +0.000 [-0.020, +0.020] nats a token)."
    )


def test_four_tasks_of_33_that_fall_otherwise_by_chance_are_no_proof_of_forgetting() -> None:
    found = evaluation()
    missed = Estimate(value=-4 / 33, low=-0.24, high=0.0, questions=33)
    differences = {arm: {**figures, "ability": missed} for arm, figures in found.differences.items()}
    assert decide(found.model_copy(update={"differences": differences}), Gate()).promote


def test_a_gain_whose_interval_touches_nothing_is_not_certain() -> None:
    assert not decide(evaluation(**{**EQUAL, "style": 0.62}), Gate()).promote
    assert decide(evaluation(**{**EQUAL, "style": 0.63}), Gate()).promote


def test_a_small_gain_in_loss_counts_only_beyond_the_least_asked_for() -> None:
    slight = evaluation(**{**EQUAL, "heldout_loss": 2.65})
    assert decide(slight, Gate()).promote
    assert not decide(slight, Gate(min_loss_gain=0.04)).promote


def test_the_first_champion_has_to_beat_the_base() -> None:
    assert decide(evaluation("base"), Gate()).champion is None
    assert decide(evaluation("base"), Gate()).promote
    refused = decide(evaluation("base", **EQUAL), Gate())
    assert refused.summary.startswith("Not promoted: it is not certainly better than base (")


def test_style_within_the_margin_is_excused_by_a_better_loss() -> None:
    assert decide(evaluation(style=0.58), Gate()).promote
    assert not decide(evaluation(style=0.56), Gate()).promote


@pytest.mark.parametrize(
    ("share", "words"), [(0.75, "75% of the sampled answers are the same, 100% is needed"), (None, "it was not tried")]
)
def test_an_adapter_that_answers_otherwise_when_loaded_again_is_refused(share: float | None, words: str) -> None:
    decision = decide(evaluation(reloaded=share), Gate())
    assert decision.summary == f"Not promoted: loaded again by plain peft, it does not answer as it was evaluated ({words})."


def test_withheld_style_is_said_and_the_loss_decides() -> None:
    why = "it cannot tell the writer from others (AUC 0.71)"
    decision = decide(evaluation(withheld={"style": why}), Gate())
    assert decision.promote
    assert decision.summary.endswith(f"on 200 questions. Not measured: style, {why}.")
    assert decision.reasons[-1] == f"--   style: not measured, {why}"
    assert not decide(evaluation(withheld={"style": why}, heldout_loss=2.7), Gate()).promote


def test_a_measure_of_safety_that_is_missing_is_no_promotion() -> None:
    with pytest.raises(KeyError, match="verbatim_share"):
        decide(evaluation(withheld={"verbatim_share": "lost"}), Gate())


def test_content_that_is_certainly_worse_is_refused_and_better_content_is_enough() -> None:
    worse = decide(evaluation(), Gate(), content(0.20, 0.45))
    assert worse.summary == (
        "Not promoted: its answers say less than those of champion-v3 (preferred for content in 32% [20%, 45%] of 60 questions)."
    )
    assert decide(evaluation(), Gate(), content(0.40, 0.55)).promote
    assert not decide(evaluation(**EQUAL), Gate(), content(0.45, 0.60)).promote
    assert decide(evaluation(**EQUAL), Gate(), content(0.55, 0.70)).promote


def test_withheld_content_is_said_and_decides_nothing() -> None:
    decision = decide(evaluation(), Gate(), content(0.0, 0.1, withheld="the judge cannot be believed"))
    assert decision.promote
    assert decision.not_measured == {"content": "the judge cannot be believed"}


def test_every_figure_stands_in_the_reasons_also_when_it_passed() -> None:
    decision = decide(evaluation(), Gate(), content(0.4, 0.6))
    looked_at = [check.measure for check in (*decision.limits, *decision.gains)]
    assert looked_at == [
        *("questions", "style", "content", "rep4", "unfinished_share", "empty_share", "length_ratio", "verbatim_share"),
        *("ability", "ability_loss", "reloaded", "style", "content", "heldout_loss"),
    ]
    assert len(decision.reasons) == len(looked_at)
    assert set(decision.scores) == set(CANDIDATE) == set(decision.differences)


def two_views(style: float, grammar: float, transfer: float | None = None) -> EvaluateResult:
    """An evaluation whose candidate is so much better in each view of style, and equal in everything else."""
    found = evaluation(**EQUAL)
    views = {"style": figure(style), "style_grammar": figure(grammar)}
    views |= {} if transfer is None else {"style_transfer": figure(transfer)}
    differences = {arm: {**figures, **views} for arm, figures in found.differences.items()}
    return found.model_copy(update={"differences": differences})


@pytest.mark.parametrize(
    ("style", "grammar", "promoted"), [(0.10, 0.10, True), (0.10, 0.01, False), (0.01, 0.10, False), (0.30, -0.10, False)]
)
def test_style_is_better_only_where_both_views_agree(style: float, grammar: float, promoted: bool) -> None:
    assert decide(two_views(style, grammar), Gate()).promote is promoted


@pytest.mark.parametrize(("transfer", "promoted"), [(0.10, True), (0.01, False), (-0.20, False)])
def test_the_third_view_of_a_large_base_must_agree_too(transfer: float, promoted: bool) -> None:
    decision = decide(two_views(0.10, 0.10, transfer), Gate())
    assert decision.promote is promoted
    assert f"grammar +0.10 [+0.08, +0.12], transfer {transfer:+.2f} [" in decision.summary


def test_a_third_view_that_hears_nothing_is_named_and_the_others_decide() -> None:
    why = "the base's likelihoods cannot tell the writer's held-out answers from other writers (AUC 0.71, needs 0.9)"
    found = two_views(0.10, 0.10).model_copy(update={"withheld": {"style_transfer": why}})
    decision = decide(found, Gate())
    assert decision.promote and decision.summary.endswith(f"Not measured: style_transfer, {why}.")


def test_both_views_stand_in_the_verdict() -> None:
    decision = decide(two_views(0.10, 0.10), Gate())
    assert "(style +0.10 [+0.08, +0.12], grammar +0.10 [+0.08, +0.12])" in decision.summary
    decision = decide(two_views(0.10, -0.20), Gate())
    assert "it may write less like the writer than champion-v3 (style +0.10 [+0.08, +0.12], grammar -0.20" in decision.summary


def test_where_one_view_is_withheld_the_other_decides_and_the_verdict_says_so() -> None:
    why = "the grammars cannot tell the writer's held-out answers from plain rewrites (AUC 0.71, needs 0.9)"
    found = evaluation(heldout_loss=2.70).model_copy(update={"withheld": {"style_grammar": why}})
    decision = decide(found, Gate())
    assert decision.promote and decision.summary.endswith(f"Not measured: style_grammar, {why}.")
