"""The DAGs with GHOSTWRITER_LAUNCHER=docker: the same tasks, in containers, and the maintenance that goes with them."""

from types import SimpleNamespace

import pytest

from ghostwriter.launchers.docker import DockerStageOperator
from ghostwriter.launchers.task_labels import task_needs
from tests.dags.bag import read_dags
from tests.ghostwriter.launchers.test_docker import LABELS, SETTINGS


def test_stages_run_in_containers_and_leftovers_are_removed_every_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    bag = read_dags()
    assert bag.import_errors == {}
    for task in ("train", "evaluate", "measure"):
        assert isinstance(bag.dags["lamplight_train"].get_task(task), DockerStageOperator)
    assert [task.task_id for task in bag.dags["maintenance"].tasks] == ["remove_leftovers"]


@pytest.mark.parametrize(
    ("state", "needed"),
    [("running", True), ("up_for_retry", True), (None, True), ("failed", False), ("success", False), ("removed", False)],
)
def test_a_container_is_needed_while_its_task_has_work_before_it(state: str | None, needed: bool) -> None:
    asked: list[dict[str, object]] = []

    def states(**question: object) -> dict[str, dict[str, str | None]]:
        asked.append(question)
        return {"r": {"train_2": state}}

    labels = {**LABELS, "ghostwriter.map": "2"}
    assert task_needs(SimpleNamespace(get_task_states=states))(labels) is needed
    assert asked == [{"dag_id": "d", "run_ids": ["r"], "task_ids": ["train"], "map_index": 2}]


def test_a_container_whose_run_was_deleted_is_not_needed() -> None:
    needed = task_needs(SimpleNamespace(get_task_states=lambda **_: {}))
    assert not needed({**LABELS, "ghostwriter.map": "-1"})


STRANGE = [{"ghostwriter.stage": "train"}, {**LABELS, "ghostwriter.map": "first"}]


@pytest.mark.parametrize("labels", STRANGE)
def test_a_container_that_does_not_name_its_task_is_left_alone(labels: dict[str, str]) -> None:
    assert task_needs(SimpleNamespace(get_task_states=lambda **_: {}))(labels)
