"""What an experiment says of itself in MLflow: a description, its kind, and saved views in which the columns that matter come first.

A saved view is a tag, as MLflow's own "Views > Save as new view" writes it.
"""

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from ghostwriter.links import public_address
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient

Kind = Literal["candidate", "comparison", "dataset", "train", "evaluate"]
"""What a run of a writer's experiment is; the arms below an evaluation are of the kind `arm`."""
KIND_TAG = "ghostwriter.kind"
VIEW_TAG = "mlflow.sharedViewState."
SCORES = ("style", "heldout_loss_nats_per_token", "rep4", "length_ratio", "ability", "verbatim_share")
"""Of the many measures those that a night turns on."""
VIEWS: dict[str, tuple[str, str, Sequence[str]]] = {
    "nights": (
        "Nights: one candidate a row",
        "candidate",
        ("tags.`ghostwriter.decision`", "params.`arm`", "params.`recipe`", *(f"metrics.`{score}`" for score in SCORES)),
    ),
    "arms": ("Arms: who answered how well", "arm", tuple(f"metrics.`{score}`" for score in SCORES)),
    "recipes": (
        "Recipes: how it was trained",
        "train",
        (
            "tags.`ghostwriter.recipe`",
            *(f"params.`{name}`" for name in ("arm", "rank", "alpha", "learning_rate", "epochs")),
            "metrics.`train/loss`",
        ),
    ),
    "datasets": (
        "Datasets: what was bought",
        "dataset",
        (
            "tags.`ghostwriter.teacher`",
            "tags.`ghostwriter.prompt_hash`",
            *(
                f"metrics.`{name}`"
                for name in ("dataset/rows/direct", "dataset/rows/distilled", "teacher/calls/accepted", "teacher/cost/answers")
            ),
        ),
    ),
}
"""Key in the address to the view's name, the kind of run it shows, and its columns."""


def describe_experiment(client: "MlflowClient", experiment_id: str, writer: Writer, uri: str) -> None:
    """Give a writer's experiment its tags; those it has already are left alone, so that what a person changed stays."""
    there = client.get_experiment(experiment_id).tags
    for name, value in experiment_tags(experiment_id, writer, uri).items():
        if name not in there:
            client.set_experiment_tag(experiment_id, name, value)


def experiment_tags(experiment_id: str, writer: Writer, uri: str) -> Mapping[str, str]:
    """Kind, description and views."""
    views = {f"{VIEW_TAG}{key}": _view(name, kind, columns) for key, (name, kind, columns) in VIEWS.items()}
    page = f"{public_address(uri)}/#/experiments/{experiment_id}/runs?viewStateShareKey="
    links = "\n".join(f"- [{name}]({page}{key})" for key, (name, _, _) in VIEWS.items())
    about = (
        f"Answers in the voice of {writer.name}. Each night that brings something new leaves a run `dataset ...` (what the teacher was "
        f"asked) and a run `candidate ...` (an adapter, its examination, and why it became the champion or not).\n\n{links}\n\n"
        "To compare, tick two runs of a view and press Compare."
    )
    return {"mlflow.experimentKind": "custom_model_development", "mlflow.note.content": about, **views}


def _view(name: str, kind: str, columns: Sequence[str]) -> str:
    state = {
        "searchFilter": f"tags.`{KIND_TAG}` = '{kind}'",
        "orderByKey": "attributes.start_time",
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": list(columns),
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
    return json.dumps({"name": name, "createdAt": 0, "updatedAt": 0, "state": f"deflate;{packed}"})
