"""What an evaluation tells MLflow: a child run of figures for each arm, the samples as a table, and the report page."""

from collections.abc import Mapping, Sequence

from training.contract import EvaluateRequest, EvaluateResult
from training.report import report
from training.tracking import TrackedRun

REPORT_FILE, TABLE_NAME = "report.html", "samples.json"
METRIC_NAMES = {"heldout_loss": "heldout_loss_nats_per_token"}
"""Names in MLflow that say more than those in the result."""


def start(run: TrackedRun, request: EvaluateRequest) -> None:
    """Tell what is about to be examined, and how."""
    run.params(request.model_dump(include={"base", "revision", "precision", "questions", "max_new_tokens", "batch", "seed"}))
    run.params({f"arm.{arm.name}": arm.adapter or f"base, {arm.examples} examples" for arm in request.arms})
    run.dataset(request.dataset, "evaluation")


def end(run: TrackedRun, request: EvaluateRequest, samples: Sequence[Mapping[str, str]], result: EvaluateResult) -> None:
    """Tell the figures of each arm as a child run, and show the samples."""
    plain = {arm: {name: figure.value for name, figure in figures.items()} for arm, figures in result.scores.items()}
    for arm, values in plain.items():
        run.metrics({METRIC_NAMES.get(name, name): value for name, value in values.items()}, child=arm)
        run.end_child(arm)
    notes = [f"{measure} is withheld: {why}." for measure, why in result.withheld.items()]
    if notes:
        run.tags({"ghostwriter.notes": " ".join(notes)})
    run.table({name: [sample[name] for sample in samples] for name in samples[0]}, TABLE_NAME)
    page = request.run_folder / REPORT_FILE
    page.write_text(report("Answers side by side", samples, plain, notes), encoding="utf-8")
    run.artifact(page)
