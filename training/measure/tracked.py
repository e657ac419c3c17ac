"""What an evaluation tells MLflow: figures for each arm as a child run, one table of them, the samples as a table, pictures, the report."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from training.contract import METRIC_NAMES, ArmRequest, EvaluateRequest, EvaluateResult
from training.measure.measures import shown
from training.measure.report import report
from training.tracking.run import TrackedRun

if TYPE_CHECKING:
    from training.measure.style import Style

REPORT_FILE, SAMPLES_TABLE, FIGURES_TABLE = "report.html", "samples.json", "measures.json"


def start(run: TrackedRun, request: EvaluateRequest) -> None:
    """Tell what is about to be examined, and how."""
    run.params(request.model_dump(include={"base", "revision", "precision", "questions", "max_new_tokens", "batch", "seed", "candidate"}))
    run.params({f"answering.{name}": value for name, value in request.answering.model_dump().items()})
    run.params({f"arm.{arm.name.replace('+', ' and ')}": _what(arm) for arm in request.arms})  # MLflow takes no + in a name
    run.dataset(request.dataset, "evaluation")


def _what(arm: ArmRequest) -> str:
    if arm.adapter is None:
        return f"base, {arm.examples} examples"
    return str(arm.adapter) if arm.notes == "none" else f"{arm.adapter}, notes: {arm.notes}"


def end(
    run: TrackedRun,
    request: EvaluateRequest,
    samples: Sequence[Mapping[str, str]],
    result: EvaluateResult,
    style_scores: "Style",
) -> None:
    """Tell the figures of each arm, and show tables, pictures and the page."""
    from training.measure.plots import save_plots  # matplotlib comes with it

    for arm, figures in result.scores.items():
        run.metrics({METRIC_NAMES.get(name, name): figure.value for name, figure in figures.items()}, child=arm)
        run.metrics({f"greedy/{name}": figure.value for name, figure in result.greedy.get(arm, {}).items()}, child=arm)
        run.end_child(arm)
    if result.withheld:
        run.tags({"ghostwriter.notes": " ".join(f"{measure} is withheld: {why}." for measure, why in result.withheld.items())})
    run.table(figures_table(result), FIGURES_TABLE)
    run.table({name: [sample[name] for sample in samples] for name in samples[0]}, SAMPLES_TABLE)
    style = {arm: [float(value) for value in values] for arm, values in style_scores.scores.items()}
    pictures = save_plots(samples, style, result.scores, request.run_folder)
    page = request.run_folder / REPORT_FILE
    page.write_text(report(result, samples, style, [picture.read_bytes() for picture in pictures]), encoding="utf-8")
    for path in (*pictures, page):
        run.artifact(path)


def figures_table(result: EvaluateResult) -> dict[str, list[str]]:
    """Column to values: measures as rows, arms as columns, each figure with its interval."""
    names = shown(name for figures in result.scores.values() for name in figures)
    columns: dict[str, list[str]] = {"measure": names}
    for arm, figures in {**result.scores, **{f"{arm}, greedily": figures for arm, figures in result.greedy.items()}}.items():
        found = [figures.get(name) for name in names]
        columns[arm] = ["" if one is None else f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" for one in found]
    return columns
