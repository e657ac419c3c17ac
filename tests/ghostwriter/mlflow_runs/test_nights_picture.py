"""The nights as a picture in MLflow: beside the candidate, and in the description of the version it became."""

import shutil
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest
from mlflow import MlflowClient
from mlflow.entities import Metric

from ghostwriter.mlflow_runs import history
from ghostwriter.mlflow_runs.nights_picture import FILE, log_nights, picture, show_nights

SVG = "{http://www.w3.org/2000/svg}"
MEASURES = ("style", "heldout_loss_nats_per_token")


@pytest.fixture
def client(tmp_path: Path, empty_store: Path) -> MlflowClient:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    return MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")


@pytest.fixture
def experiment(client: MlflowClient, tmp_path: Path) -> str:
    return client.create_experiment("lamplight", artifact_location=str(tmp_path / "artifacts"))


def candidate(client: MlflowClient, experiment: str, style: float | None, **tags: str) -> str:
    tags = {"ghostwriter.kind": "candidate", **{f"ghostwriter.{name}": value for name, value in tags.items()}}
    run_id = str(client.create_run(experiment, tags=tags).info.run_id)
    if style is not None:
        spread = (("", style), ("/low", style - 0.1), ("/high", style + 0.1))
        client.log_batch(run_id, [Metric(f"{name}{end}", value, 0, 0) for name in MEASURES for end, value in spread])
    return run_id


def drawn(client: MlflowClient, run_id: str, folder: Path) -> ElementTree.Element:
    return ElementTree.parse(client.download_artifacts(run_id, FILE, str(folder))).getroot()


def test_the_newest_run_shows_every_candidate_and_which_became_the_champion(client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    candidate(client, experiment, 0.5, promoted_version="1")
    candidate(client, experiment, 0.4)
    run_id = candidate(client, experiment, 0.6)
    assert log_nights(client, run_id) == f"![Night by night](get-artifact?path=nights.svg&run_uuid={run_id})"
    marks = [group.get("class") for group in drawn(client, run_id, tmp_path).iter(f"{SVG}g")]
    assert marks == ["promoted", "refused", "refused"] * 2, "style, then loss"


def test_a_champion_older_than_the_nights_shown_is_shown_before_them(
    client: MlflowClient, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for version in ("1", "2"):
        candidate(client, experiment, 0.5, promoted_version=version)
        time.sleep(0.002)  # MLflow tells starts apart by milliseconds
    for _ in range(5):
        run_id = candidate(client, experiment, 0.4)
        time.sleep(0.002)
    monkeypatch.setattr(history, "NIGHTS", 3)
    log_nights(client, run_id)
    page = drawn(client, run_id, tmp_path)
    assert [group.get("class") for group in page.iter(f"{SVG}g")] == ["promoted", "refused", "refused", "refused"] * 2
    assert "became version 2" in str(page.findtext(f".//{SVG}g/{SVG}title"))
    (line, _) = page.iter(f"{SVG}polyline")
    assert len(str(line.get("points")).split()) == 4, "the champion's line runs through all nights shown"


def test_a_promotion_is_drawn_and_stands_once_in_the_version(client: MlflowClient, experiment: str, tmp_path: Path) -> None:
    run_id = candidate(client, experiment, 0.6)
    shown = log_nights(client, run_id)
    client.create_registered_model("ghostwriter-lamplight")
    client.create_model_version("ghostwriter-lamplight", source=str(tmp_path), run_id=run_id, description="better")
    client.set_tag(run_id, "ghostwriter.promoted_version", "1")
    for _ in range(2):
        show_nights(client, run_id, "ghostwriter-lamplight", "1")
    assert client.get_model_version("ghostwriter-lamplight", "1").description == f"better\n\n{shown}"
    assert [group.get("class") for group in drawn(client, run_id, tmp_path).iter(f"{SVG}g")] == ["promoted"] * 2


def test_without_figures_nothing_is_drawn(client: MlflowClient, experiment: str) -> None:
    run_id = candidate(client, experiment, None)
    assert log_nights(client, run_id) == ""
    assert client.list_artifacts(run_id) == []
    assert picture([]) == ""
