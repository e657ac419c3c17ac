"""The DAGs with GHOSTWRITER_LAUNCHER=kubernetes: the same tasks, in pods, and the maintenance that goes with them."""

import pytest

from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator
from tests.dags.bag import read_dags
from tests.ghostwriter.launchers.kubernetes.bench import SETTINGS


def test_stages_run_in_pods_and_leftovers_are_removed_by_one_task_an_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    bag = read_dags()
    assert bag.import_errors == {}
    tasks = {"lamplight_train": ("train", "evaluate", "measure"), "lamplight_compare": ("measure",), "multiplication": ("examine",)}
    for dag, task in [(dag, task) for dag, names in tasks.items() for task in names]:
        assert isinstance(bag.dags[dag].get_task(task), KubernetesStageOperator)
    maintenance = bag.dags["maintenance"]
    assert maintenance.schedule == "@hourly"
    assert len(maintenance.tasks) * 24 * 366 < 10_000, "with KubernetesExecutor each is a pod"
