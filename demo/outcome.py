"""What the demo shows at the end: the arms' scores, one question answered by writer, base and adapter, and where to look."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from demo.follow import Loop
from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.mlflow_runs.links import MlflowRunLink, ReportLink, mlflow_urls
from ghostwriter.writer import Writer
from training.contract import RESULT_FILE, Estimate, EvaluateResult, read_json

SHOWN = 700


def show_outcome(console: Console, api: AirflowApi, mlflow_url: str, writer: Writer, loop: Loop) -> None:
    """Print the table, the sample, the decision and the addresses."""
    dag_id, run_id = f"{writer.stem}_train", loop.runs["train"]
    evaluated = api.xcom(dag_id, run_id, "evaluate")
    result = read_json(EvaluateResult, Path(evaluated["run_folder"]) / RESULT_FILE)
    verdict = api.xcom(dag_id, run_id, "judge")
    console.print(f"\nScores on {result.questions} held-out questions of {writer.name}")
    console.print(score_table(result.scores))
    console.print(Text(verdict["summary"], style="bold"))
    console.rule()
    for who, text in sample(result.samples):
        console.print(Text(who, style="bold"), Text(text), sep="\n", end="\n\n")
    pipeline_run = api.xcom(dag_id, run_id, "plan")["run_id"]
    console.print(f"Airflow run  {api.url}/dags/{dag_id}/runs/{run_id}", soft_wrap=True)
    console.print(f"MLflow run   {mlflow_urls(mlflow_url, pipeline_run, writer.stem)[MlflowRunLink.name]}", soft_wrap=True)
    console.print(f"Report       {mlflow_urls(mlflow_url, evaluated['run_id'], writer.stem)[ReportLink.name]}", soft_wrap=True)


def score_table(scores: dict[str, dict[str, Estimate]]) -> Table:
    """Arms by measures, each with its 95 % interval; a measure an arm does not have is left empty."""
    measures = list(dict.fromkeys(measure for values in scores.values() for measure in values))
    table = Table("measure", *scores)
    for measure in measures:
        table.add_row(measure, *(_figure(values[measure]) if measure in values else "" for values in scores.values()))
    return table


def _figure(one: Estimate) -> str:
    return f"{one.value:.3f} ({one.low:.3f} to {one.high:.3f})"


def sample(samples: Path) -> list[tuple[str, str]]:
    """The first held-out question, the writer's answer and each arm's, cut to a readable length."""
    row: dict[str, str] = json.loads(samples.read_text(encoding="utf-8").splitlines()[0])
    texts = [(name, text) for name, text in row.items() if isinstance(text, str) and not name.endswith("id")]
    return [(name, text if len(text) <= SHOWN else text[:SHOWN] + " ...") for name, text in texts]
