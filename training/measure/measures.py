"""From the answers of all arms to figures: what each arm gets, and how far the candidate is from each other arm.

| measure | over questions | better |
|---|---|---|
| heldout_loss | nats per token of the writer's real answers | lower |
| style | likeness to the writer: 0 is other writers, 1 the writer (training.measure.style) | higher |
| style_grammar | the same in another view: 0 is plain rewrites or other writers (training.measure.style_grammar) | higher |
| style_transfer | the same by the base's own likelihoods, of a large base only (training.measure.style_transfer) | higher |
| style_distance | distance of the answers as a crowd: 0 is the writer, 1 the base (training.measure.style_distance) | lower |
| rep4, distinct2, longest_loop, unfinished_share, empty_share | training.measure.degeneration | near the writer's |
| length_ratio, odd_length_share | training.measure.degeneration | near the writer's |
| verbatim_share, longest_copy | training.measure.memorisation | near the writer's |
| foreign_phrases, own_phrases | phrases in 1,000 words (training.measure.phrases) | near the writer's |
| ability | share of other tasks solved (training.measure.ability) | higher |
| ability_loss | nats per token of general text (training.measure.ability) | lower |
| lm_eval/TASK/METRIC | an extra: tasks of lm-eval (training.answer.lm_eval_tasks), after all others | as the metric says |
"""

from collections.abc import Iterable, Mapping

from training.bootstrap import Measured, difference, estimate
from training.contract import Estimate

BASE, WRITER = "base", "writer"
"""Names of an arm that is always there, and of the writer's own answers beside the arms."""

HIGHER_IS_BETTER = {
    "heldout_loss": False,
    "style": True,
    "style_grammar": True,
    "style_transfer": True,
    "style_distance": False,
    "rep4": False,
    "distinct2": True,
    "longest_loop": False,
    "unfinished_share": False,
    "empty_share": False,
    "length_ratio": None,
    "odd_length_share": False,
    "verbatim_share": False,
    "longest_copy": False,
    "foreign_phrases": False,
    "own_phrases": None,
    "ability": True,
    "ability_loss": False,
}
"""All measures, in the order they are shown; None: best near 1."""

SHARES = ("rep4", "distinct2", "unfinished_share", "empty_share", "odd_length_share", "verbatim_share", "ability")
"""Measures between 0 and 1, so their intervals are, too."""

Measures = Mapping[str, Mapping[str, Measured]]
"""Arm to measure to figure."""


def shown(names: Iterable[str]) -> list[str]:
    """The measures among `names`, each once, in the order they are shown."""
    found = dict.fromkeys(names)
    return [*(name for name in HIGHER_IS_BETTER if name in found), *(name for name in found if name not in HIGHER_IS_BETTER)]


def scores(measured: Measures, seed: int) -> dict[str, dict[str, Estimate]]:
    """Every figure with its interval."""
    return {arm: {name: _within(name, estimate(figures[name], seed)) for name in shown(figures)} for arm, figures in measured.items()}


def differences(measured: Measures, candidate: str, seed: int) -> dict[str, dict[str, Estimate]]:
    """The candidate's figures minus those of each other arm, where both have them."""
    own = measured[candidate]
    return {
        arm: {name: difference(own[name], figures[name], seed) for name in shown(own) if name in figures}
        for arm, figures in measured.items()
        if arm != candidate
    }


def _within(name: str, found: Estimate) -> Estimate:
    """The interval without what no share can be."""
    return found.model_copy(update={"low": max(0.0, found.low), "high": min(1.0, found.high)}) if name in SHARES else found
