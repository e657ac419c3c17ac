"""What a comparison of arms says by the rule of docs/voices.md, as a text for an issue: without a name, without a text of the writer."""

from collections.abc import Iterator, Mapping

from ghostwriter.judging.gate import STYLE_VIEWS
from ghostwriter.mlflow_runs.comparison import comparison_table
from ghostwriter.mlflow_runs.decision_page import interval
from ghostwriter.writer_settings import Gate
from training.contract import Estimate, EvaluateResult

DISTILLED, WRITER = "distilled", "writer"
GAP_SHARES = {"style": 0.25, "style_grammar": 0.2, "style_transfer": 0.2}
"""View to the share of the gap between `distilled` and the writer that an arm is to close."""


def arms_report(result: EvaluateResult, facts: Mapping[str, str], limits: Gate) -> str:
    """Markdown. `result` has `distilled` as its candidate, so that every difference is one to it; without that arm there are no goals."""
    parts = [
        "## A comparison of arms",
        "No text and no name of the writer stands here. Please say below what no program can: which card, and whether it sounds right.",
        "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items()), "| card | ... |"]),
        comparison_table(result).strip(),
    ]
    if result.candidate == DISTILLED:
        parts.append("\n".join(_goals(result, limits)))
    return "\n\n".join([*parts, "**What I heard when I read the answers:** ..."]) + "\n"


def gain_over_distilled(result: EvaluateResult, arm: str, measure: str) -> Estimate:
    """The arm's figure minus that of `distilled`."""
    found = result.differences[arm][measure]
    return found.model_copy(update={"value": -found.value, "low": -found.high, "high": -found.low})


def goal(result: EvaluateResult, arm: str, view: str) -> tuple[Estimate, float, str]:
    """What an arm gains in a view, what was wanted, and whether that is `reached`, `missed` or `undecided` by the whole interval.

    `no gap`: `distilled` may be as near as the writer's own answers.
    """
    gain, gap = gain_over_distilled(result, arm, view), gain_over_distilled(result, WRITER, view)
    wanted = GAP_SHARES[view] * gap.value
    verdict = "no gap" if gap.low <= 0 else "reached" if gain.low >= wanted else "missed" if gain.high < wanted else "undecided"
    return gain, wanted, verdict


def guards_not_held(result: EvaluateResult, arm: str, limits: Gate) -> list[str]:
    """The gate's limits that an arm breaks for certain, or may break; other tasks are compared with those of `distilled`."""
    found = []
    scores, writer = result.scores[arm], result.scores[WRITER]
    bounds = {
        "rep4": (scores["rep4"], writer["rep4"].value + limits.max_rep4_rise),
        "verbatim_share": (scores["verbatim_share"], writer["verbatim_share"].value + limits.max_verbatim_rise),
        "unfinished_share": (scores["unfinished_share"], limits.max_unfinished_share),
    }
    if "ability" in result.differences[arm]:
        bounds["ability"] = (result.differences[arm]["ability"], limits.max_ability_drop)
    for name, (figure, most) in bounds.items():
        if figure.high > most:
            found.append(f"{name} {'fails' if figure.low > most else 'open'}")
    return found


def _goals(result: EvaluateResult, limits: Gate) -> Iterator[str]:
    views = [view for view in STYLE_VIEWS if view in result.differences[WRITER]]
    yield f"| beside `distilled` | {' | '.join(f'{view}: gain, goal | ' for view in views)} | guards not held |"
    yield "|---" * (2 * len(views) + 2) + "|"
    for arm in result.differences:
        if arm == WRITER:
            continue
        cells = []
        for view in views:
            gain, wanted, verdict = goal(result, arm, view)
            cells += [f"{interval(gain)}, {wanted:.3f}", verdict]
        yield f"| {arm} | {' | '.join(cells)} | {', '.join(guards_not_held(result, arm, limits)) or 'none'} |"
