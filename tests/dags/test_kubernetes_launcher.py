"""The DAGs with GHOSTWRITER_LAUNCHER=kubernetes: the same tasks, in pods, and the maintenance that goes with them."""

import warnings

import pytest

from ghostwriter.home import ROOT
from ghostwriter.kubernetes_stage import KubernetesStageOperator
from tests.ghostwriter.test_kubernetes_stage import SETTINGS

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from airflow.dag_processing.dagbag import DagBag


@pytest.fixture
def bag(monkeypatch: pytest.MonkeyPatch) -> "DagBag":
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return DagBag(dag_folder=str(ROOT / "dags"))


def test_gpu_stages_run_in_pods_and_leftovers_are_removed_every_five_minutes(bag: "DagBag") -> None:
    assert bag.import_errors == {}
    for dag, task in (("lamplight_train", "train"), ("lamplight_train", "evaluate"), ("multiplication", "examine")):
        assert isinstance(bag.dags[dag].get_task(task), KubernetesStageOperator)
    assert bag.dags["maintenance"].schedule == "*/5 * * * *"
