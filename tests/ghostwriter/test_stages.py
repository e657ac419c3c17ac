"""The status an MLflow run ends with is true: what the tasks before it left in XCom decides."""

from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ghostwriter.stages import close_run


class Tasks:
    """What finished tasks returned."""

    def __init__(self, **returned: Any) -> None:
        self._returned = returned

    def xcom_pull(self, task_ids: str) -> Any:
        return self._returned.get(task_ids)


@pytest.mark.parametrize(
    ("tasks", "status"),
    [
        (Tasks(), "FAILED"),
        (Tasks(judge={"promote": False}), "FINISHED"),
        (Tasks(judge={"promote": True}, promote="2"), "FINISHED"),
        (Tasks(judge={"promote": True}), "FAILED"),
    ],
    ids=["no verdict", "not promoted", "promoted", "promotion failed"],
)
def test_a_run_is_finished_when_its_verdict_was_carried_out(
    tasks: Tasks, status: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = MlflowClient(uri)
    run_id = client.create_run(client.create_experiment("lamplight")).info.run_id
    close_run(run_id, tasks)
    assert client.get_run(run_id).info.status == status
