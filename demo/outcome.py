"""What the demo shows at its end: three questions answered side by side, the scores, a picture of the style, and where to look."""

import json
from pathlib import Path

import requests
from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.follow import Loop
from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.judging.gate import BASE, CHAMPION_ARM, WRITER
from ghostwriter.judging.measure_names import measure_name
from ghostwriter.mlflow_runs.links import MlflowRunLink, ReportLink, mlflow_urls
from ghostwriter.snapshot import read_manifest
from ghostwriter.writer import Writer
from training.contract import REQUEST_FILE, RESULT_FILE, Estimate, EvaluateResult, TrainRequest, TrainResult, read_json

SHOWN_QUESTIONS = 3
SHOWN_CHARACTERS = 900
SCALE_WIDTH = 50


def show_outcome(console: Console, api: AirflowApi, mlflow_url: str, writer: Writer, loop: Loop) -> None:
    """Print the answers, the table, the picture, the decision and the addresses."""
    dag_id, run_id = f"{writer.stem}_train", loop.runs["train"]
    evaluated = api.xcom(dag_id, run_id, "evaluate")
    result = read_json(EvaluateResult, Path(evaluated["run_folder"]) / RESULT_FILE)
    trained = Path(api.xcom(dag_id, run_id, "train")["run_folder"])
    verdict = api.xcom(dag_id, run_id, "judge")
    names = arm_names(result, writer.name, promoted=verdict["promote"])
    for question, answers in samples(result.samples, names)[:SHOWN_QUESTIONS]:
        console.print(side_by_side(question, answers))
    console.print(f"\nScores on {result.questions} held-out questions, with 95 % intervals")
    console.print(score_table(result.scores, names))
    for line in style_picture(result.scores, names):
        console.print(line)
    console.print(Text("\n" + verdict["summary"], style="bold"))
    for line in what_happened(read_json(TrainRequest, trained / REQUEST_FILE), read_json(TrainResult, trained / RESULT_FILE)):
        console.print(line, soft_wrap=True)
    pipeline_run = api.xcom(dag_id, run_id, "plan")["run_id"]
    console.print(f"\nAirflow run  {api.url}/dags/{dag_id}/runs/{run_id}", soft_wrap=True)
    console.print(f"MLflow run   {mlflow_urls(mlflow_url, pipeline_run, writer.stem)[MlflowRunLink.name]}", soft_wrap=True)
    console.print(f"Report       {mlflow_urls(mlflow_url, evaluated['run_id'], writer.stem)[ReportLink.name]}", soft_wrap=True)
    console.print(f"All writers  {api.url}/ghostwriter/", soft_wrap=True)


def arm_names(result: EvaluateResult, writer: str, *, promoted: bool) -> dict[str, str]:
    """The arms to show, the writer first and the candidate last, with what a reader would call them."""
    candidate = "the new champion" if promoted else "the candidate (not promoted)"
    others = {
        arm: "the base model" if arm == BASE else f"the champion before (version {arm.removeprefix(CHAMPION_ARM)})"
        for arm in result.scores
        if arm not in (WRITER, result.candidate)
    }
    return {WRITER: writer, **others, result.candidate: candidate}


def samples(path: Path, names: dict[str, str]) -> list[tuple[str, dict[str, str]]]:
    """Each held-out question with its answers, by what a reader would call who gave them."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(row["question"], {name: row[arm] for arm, name in names.items() if arm in row}) for row in rows]


def side_by_side(question: str, answers: dict[str, str]) -> Table:
    """One question and its answers in columns, each cut to a readable length."""
    table = Table(title=question, title_style="bold", title_justify="left", expand=True)
    for name in answers:
        table.add_column(name, ratio=1, overflow="fold")
    table.add_row(*(Text(_cut(text)) for text in answers.values()))
    return table


def score_table(scores: dict[str, dict[str, Estimate]], names: dict[str, str]) -> Table:
    """Measures by arms, each with its 95 % interval; a measure an arm does not have is left empty."""
    measures = list(dict.fromkeys(measure for values in scores.values() for measure in values))
    shown = [arm for arm in names if arm in scores]
    table = Table("", *(names[arm] for arm in shown))
    for measure in measures:
        table.add_row(measure_name(measure), *(_figure(scores[arm].get(measure)) for arm in shown))
    return table


def style_picture(scores: dict[str, dict[str, Estimate]], names: dict[str, str]) -> list[str]:
    """Each arm's style on a line from other people (0) to the writer (1), its interval drawn as dashes. Nothing without the measure."""
    placed = {name: scores[arm]["style"] for arm, name in names.items() if "style" in scores.get(arm, {})}
    if not placed:
        return []
    width = max(map(len, placed))
    head = f"\n{'Style':<{width}}  0 = other people{'1 = the writer':>{SCALE_WIDTH - 16}}"
    return [head, *(f"{name:<{width}}  {_line(style)}  {style.value:.2f}" for name, style in placed.items())]


def what_happened(request: TrainRequest, result: TrainResult) -> list[str]:
    """Where the training rows came from, and how long and on what the adapter was trained."""
    facts = read_manifest(request.dataset).facts
    teacher = facts.get("teacher", {}).get("model", "nobody")
    recorded = " (a strong model's answers, recorded once; demo/recorded/README.md)" if "recorded" in teacher else ""
    lines = [f"Teacher: {teacher}{recorded}, {facts.get('counts', {}).get('accepted', 0)} answers accepted."]
    start = f"going on from {request.start.name}" if request.start else "from the base model"
    lines.append(f"Training: {result.steps} steps, {result.tokens:,} tokens in {result.seconds:.0f} s, {start}.")
    if result.planned_steps and result.steps < result.planned_steps:
        left = result.planned_steps - result.steps
        lines.append(f"This machine is slow: {left} of {result.planned_steps} steps did not fit into {request.recipe.max_seconds:g} s.")
    return lines


def teacher_counts(address: str) -> str:
    """How many answers the demo's teacher gave since it was started, in words; empty when it does not say."""
    try:
        counts = requests.get(f"{address}/health", timeout=5).json()
    except requests.RequestException:
        return ""
    return f"Since it was started the teacher gave {counts.get('recorded', 0)} recorded answers and {counts.get('live', 0)} live ones."


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " ..."


def _figure(one: Estimate | None) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})" if one else ""


def _line(style: Estimate) -> str:
    low, value, high = (round(min(1, max(0, number)) * (SCALE_WIDTH - 1)) for number in (style.low, style.value, style.high))
    marks = dict.fromkeys(range(low, high + 1), "-") | {value: "O"}
    return "|" + "".join(marks.get(place, " ") for place in range(SCALE_WIDTH)) + "|"
