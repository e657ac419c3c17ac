"""The tabs in Airflow: loaded as Airflow itself loads them, each to its writer or its run's report, and a report that reaches nothing."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import pytest
from airflow.api_fastapi.common.db.common import _get_session
from airflow.api_fastapi.core_api.datamodels.plugins import PluginResponse
from airflow.models.xcom import XComModel
from airflow.plugins_manager import get_plugin_info
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, insert
from sqlalchemy.orm import Session
from sqlalchemy.pool import StaticPool

from ghostwriter.page import views
from ghostwriter.page.access import writers_of_user
from ghostwriter.page.app import refused
from ghostwriter.page.views import find_report, owner_of
from ghostwriter.writer import Writer, load_writer

RUN = "manual__2026-12-01T03:00:00+00:00"
REPORT = "<!doctype html><script>1</script>海".encode()


@dataclass
class RecordedMlflow:
    """MLflow's answers: run `night` holds two examinations, of which only the older left a report."""

    reports: dict[str, bytes] = field(default_factory=lambda: {"older": REPORT})

    def run(self, run_id: str) -> dict[str, Any] | None:
        return {"info": {"experiment_id": "7"}} if run_id == "night" else None

    def children(self, experiment_id: str, run_id: str) -> list[dict[str, Any]]:
        assert (experiment_id, run_id) == ("7", "night")
        names = {"newer": "evaluate", "older": "evaluate", "trained": "train direct"}
        return [{"info": {"run_id": run, "run_name": name}} for run, name in names.items()]

    def artifact(self, run_id: str, name: str) -> bytes | None:
        assert run_id != "trained"
        return self.reports.get(run_id) if name == "report.html" else None


HANDED_ON = (
    ("lamplight_train", "plan", {"run_id": "night"}),
    ("lamplight_compare", "open_run", "night"),
    ("laocheng_train", "plan", "night"),
)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """The routes for someone who may see lamplight alone; each DAG has a run that handed on an MLflow run."""
    engine = create_engine("sqlite://", connect_args={"check_same_thread": False}, poolclass=StaticPool)
    XComModel.__table__.create(engine)
    monkeypatch.setattr(views, "open_registry", lambda seconds: RecordedMlflow())
    app = FastAPI(exception_handlers={HTTPException: refused})
    app.include_router(views.router)
    with Session(engine) as session:
        for number, (dag_id, task_id, value) in enumerate(HANDED_ON):
            ids = {"dag_id": dag_id, "run_id": RUN, "task_id": task_id, "dag_run_id": number, "map_index": -1}
            session.execute(insert(XComModel).values(key="return_value", value=XComModel.serialize_value(value), **ids))
        app.dependency_overrides = {writers_of_user: lambda: [load_writer("lamplight")], _get_session: lambda: session}
        yield TestClient(app)
    engine.dispose()


@pytest.mark.filterwarnings("ignore:GitWildMatchPattern:DeprecationWarning")  # Airflow reads .airflowignore with it
def test_airflow_loads_the_tabs_and_its_api_takes_them() -> None:
    plugin = next(info for info in get_plugin_info() if info["name"] == "ghostwriter")
    views = {view.name: view for view in PluginResponse.model_validate({**plugin, "source": "here"}).external_views}
    assert {name: view.destination for name, view in views.items()} == {"Ghostwriter": "nav", "Writer": "dag", "Report": "dag_run"}
    assert views["Writer"].href.endswith("/ghostwriter/dag/{DAG_ID}")
    assert views["Report"].href.endswith("/ghostwriter/report/{DAG_ID}/{RUN_ID}")
    assert views["Writer"].url_route and views["Report"].url_route, "Airflow's interface shows no tab without one"


@pytest.mark.parametrize("dag_id", ["lamplight_train", "lamplight_compare"])
def test_a_runs_report_is_shown_and_reaches_nothing(client: TestClient, dag_id: str) -> None:
    answer = client.get(f"/report/{dag_id}/{quote(RUN)}")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, REPORT, "text/html; charset=utf-8")
    policy = answer.headers["content-security-policy"]
    assert "sandbox allow-scripts;" in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy


@pytest.mark.parametrize("dag_id", ["lamplight_collect", "housekeeping", "laocheng_train"], ids=["stage", "no writer's", "not to be seen"])
def test_a_run_without_a_report_says_which_have_one(client: TestClient, dag_id: str) -> None:
    answer = client.get(f"/report/{dag_id}/{quote(RUN)}")
    assert answer.status_code == 404
    assert "only `&lt;writer&gt;_train` and `&lt;writer&gt;_compare` make one" in answer.text


def test_a_run_that_has_not_begun_has_no_report(client: TestClient) -> None:
    assert client.get("/report/lamplight_train/manual__2").status_code == 404


def test_the_report_of_a_run_that_mlflow_lost_is_missing() -> None:
    assert find_report(RecordedMlflow(), "gone") is None  # type: ignore[arg-type]
    assert find_report(RecordedMlflow({}), "night") is None  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dag_id", "stem"), [("lamplight_train", "lamplight"), ("lamplight", None), ("maintenance", None), ("lamplight_2_train", None)]
)
def test_a_dag_belongs_to_the_writer_it_is_named_after(dag_id: str, stem: str | None) -> None:
    owner: Writer | None = owner_of(dag_id, [load_writer("lamplight")])
    assert (owner.stem if owner else None) == stem
