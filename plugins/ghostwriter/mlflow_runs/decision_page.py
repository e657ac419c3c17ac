"""A decision as people read it: Markdown for Airflow's approval form and MLflow's description, JSON and metrics for the record."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ghostwriter.judging.content import Content
from ghostwriter.judging.gate import Check, Decision
from ghostwriter.mlflow_runs.nights_picture import log_nights
from ghostwriter.mlflow_runs.pipeline_run import describe, log_at_once
from training.contract import METRIC_NAMES, Estimate

if TYPE_CHECKING:
    from mlflow import MlflowClient

DECISION_TAG = "ghostwriter.decision"


def log_decision(client: "MlflowClient", run_id: str, decision: Decision, content: Content | None, note: str = "") -> None:
    """Tell an MLflow run the decision, every figure behind it, the page, and a picture of the nights so far.

    In the description `note` stands between page and picture.
    """
    log_at_once(client, run_id, metrics=decision_metrics(decision, content), tags={DECISION_TAG: decision.summary})
    page = decision_markdown(decision, content)
    facts = {"decision": decision.model_dump(mode="json"), "content": content.model_dump(mode="json") if content else None}
    client.log_dict(run_id, facts, "decision.json")
    client.log_text(run_id, page, "decision.md")
    picture = log_nights(client, run_id)
    describe(client, run_id, "\n".join(part for part in (f"{page}{note}", picture) if part))


def decision_metrics(decision: Decision, content: Content | None) -> dict[str, float]:
    """The candidate's measures, `difference/` from the rival, both with `/low` and `/high`; and what the judge found."""
    found = dict(_spread(decision.scores)) | {f"difference/{name}": value for name, value in _spread(decision.differences)}
    if content and content.preferred:
        found |= dict(_spread({"content": content.preferred}))
    if content and content.agreement is not None:
        found["content/agreement"] = content.agreement
    return found


def decision_markdown(decision: Decision, content: Content | None) -> str:
    """Summary, checks, what the judge found, and a table of all figures."""
    parts = [f"**{decision.summary}**"]
    if decision.limits:
        parts += ["Must hold:", _list(decision.limits), "One must be there for certain:", _list(decision.gains)]
    if content:
        parts.append(_content_line(content))
    if decision.scores:
        parts.append(_table(decision))
    return "\n\n".join(parts) + "\n"


def interval(found: Estimate | None) -> str:
    """`0.620 [0.550, 0.700]`; empty without one."""
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}]" if found else ""


def _spread(estimates: Mapping[str, Estimate]) -> Iterator[tuple[str, float]]:
    for measure, found in estimates.items():
        name = METRIC_NAMES.get(measure, measure)
        yield from ((name, found.value), (f"{name}/low", found.low), (f"{name}/high", found.high))


def _list(checks: tuple[Check, ...]) -> str:
    return "\n".join(f"- {'✓' if check.passed else '✗'} {check.measure}: {check.figures}" for check in checks)


def _content_line(content: Content) -> str:
    agreement = "none" if content.agreement is None else f"{content.agreement:.0%}"
    left_out = sum(content.excluded.values())
    return (
        f"Content, judged by {content.model} against {content.rival}: {content.wins} better, {content.ties} even "
        f"({content.order_dependent} of them went with the order), {content.losses} worse, {left_out} left out. "
        f"The judge was right on {agreement} of {content.agreement_pairs} pairs whose better answer is known. Spent: {content.spent}."
    )


def _table(decision: Decision) -> str:
    rows = [f"| measure | {decision.candidate} | minus {decision.rival} |", "|---|---|---|"]
    rows += [f"| {name} | {interval(found)} | {interval(decision.differences.get(name))} |" for name, found in decision.scores.items()]
    return "\n".join(rows)
