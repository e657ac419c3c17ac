"""What an experiment says of itself in MLflow: a description, its kind, and saved views in which the columns that matter come first.

A saved view is a tag, as MLflow's own "Views > Save as new view" writes it.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from ghostwriter.mlflow_runs.links import public_address
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient

Kind = Literal["candidate", "comparison", "dataset", "train", "evaluate"]
"""What a run of a writer's experiment is; the arms below an evaluation are of the kind `arm`."""
KIND_TAG = "ghostwriter.kind"
VIEW_TAG = "mlflow.sharedViewState."
SCORES = ("style", "heldout_loss_nats_per_token", "rep4", "length_ratio", "ability", "verbatim_share", "turing_share")
"""Of the many measures those that a night turns on."""


@dataclass(frozen=True)
class View:
    """Runs of one kind and the columns that matter; newest first, unless `order` names a column whose least value comes first.

    MLflow folds runs below their parents when it orders by time, and shows them one beside the other when it orders by anything else.
    """

    name: str
    kind: str
    columns: Sequence[str]
    order: str = "attributes.start_time"


VIEWS = {
    "nights": View(
        "Nights: one candidate a row",
        "candidate",
        ("tags.`ghostwriter.decision`", "params.`arm`", "params.`recipe`", *(f"metrics.`{score}`" for score in SCORES)),
    ),
    "arms": View(
        "Arms: who answered how well",
        "arm",
        tuple(f"metrics.`{score}`" for score in SCORES),
        order="metrics.`heldout_loss_nats_per_token`",
    ),
    "recipes": View(
        "Recipes: how it was trained",
        "train",
        (
            "tags.`ghostwriter.recipe`",
            *(f"params.`{name}`" for name in ("arm", "rank", "alpha", "learning_rate", "epochs")),
            "metrics.`train/loss`",
        ),
        order="metrics.`train/loss`",
    ),
    "datasets": View(
        "Datasets: what was bought",
        "dataset",
        (
            "tags.`ghostwriter.teacher`",
            "tags.`ghostwriter.prompt_hash`",
            *(f"metrics.`dataset/rows/{name}`" for name in ("direct", "distilled", "heldout")),
            *(f"metrics.`teacher/{name}`" for name in ("calls/accepted", "cost/answers")),
        ),
    ),
}
"""By the key in a view's address."""


def describe_experiment(client: "MlflowClient", experiment_id: str, writer: Writer, uri: str) -> None:
    """Give a writer's experiment its tags; those it has already are left alone, so that what a person changed stays.

    Distilling and training of a first night do so at the same moment, and MLflow refuses the one that comes second.
    """
    from mlflow.exceptions import MlflowException

    there = client.get_experiment(experiment_id).tags
    for name, value in experiment_tags(experiment_id, writer, uri).items():
        if name not in there:
            try:
                client.set_experiment_tag(experiment_id, name, value)
            except MlflowException:
                if name not in client.get_experiment(experiment_id).tags:
                    raise


def experiment_of(client: "MlflowClient", name: str) -> str:
    """The id of the experiment of that name, made on the first call; of two that make it at once, one finds the other's."""
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException:
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise


def experiment_tags(experiment_id: str, writer: Writer, uri: str) -> Mapping[str, str]:
    """Kind, description and views."""
    views = {f"{VIEW_TAG}{key}": _saved(view) for key, view in VIEWS.items()}
    page = f"{public_address(uri)}/#/experiments/{experiment_id}/runs"
    links = "\n".join(f"- [{view.name}]({page}?workflowType=machine_learning&viewStateShareKey={key})" for key, view in VIEWS.items())
    about = (
        f"Answers in the voice of {writer.name}. Each night that brings something new leaves a run `dataset ...` (what the teacher was "
        f"asked) and a run `candidate ...` (an adapter, its examination, and why it became the champion or not).\n\n{links}\n\n"
        "To compare, tick two runs of a view and press Compare."
    )
    return {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": about, **views}


def _saved(view: View) -> str:
    state = {
        "searchFilter": f"tags.`{KIND_TAG}` = '{view.kind}'",
        "orderByKey": view.order,
        "orderByAsc": view.order != View.order,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(view.columns),
        "columnOrder": [],
        "columnWidths": {},
        "runsHiddenMode": "FIRST_10_RUNS",
        "viewMaximized": False,
        "runListHidden": False,
        "isAccordionReordered": False,
        "useGroupedValuesInCharts": True,
        "hideEmptyCharts": True,
        "groupBy": None,
        "groupsExpanded": {},
        "globalLineChartConfig": {"xAxisKey": "step", "lineSmoothness": 0, "selectedXAxisMetricKey": ""},
    }
    packed = base64.b64encode(zlib.compress(json.dumps(state).encode())).decode()
    return json.dumps({"name": view.name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})
