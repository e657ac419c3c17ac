"""One training in two pods that are real containers, on a network where the first one's name is known: `make test-docker`."""

import json

import pytest
from airflow.sdk.exceptions import AirflowException

from tests.kubernetes.attempts import begin, context, fire, resume, run
from tests.kubernetes.conftest import Bench, steps_done, until
from tests.kubernetes.containers import LABEL, ContainerNode, docker


def test_two_pods_train_together_and_go_on_after_one_has_vanished(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GHOSTWRITER_NODES", "2")
    bench.cluster.gpus = 2
    request = bench.request("run", epochs=60, checkpoint_steps=10)
    make = bench.maker(request)
    deferred = begin(make, context())
    until(lambda: steps_done(request) >= 15, "15 steps")
    (second,) = [pod for name, pod in bench.cluster.pods.items() if "-1-" in name]
    bench.cluster.gone(second)  # its node is gone
    docker("kill", ContainerNode.name_of(second))
    with pytest.raises(AirflowException, match=r"lost another pod of its training\. Run the task again") as lost:
        resume(make, context(), deferred, fire(deferred))
    assert type(lost.value) is AirflowException  # which is tried again
    docker("rm", ContainerNode.name_of(second))
    assert bench.cluster.pods == {}
    assert run(make, context(attempt=2))["run_folder"] == str(request.run_folder)
    assert json.loads((request.run_folder / "result.json").read_text())["steps"] == 180
    said = capsys.readouterr().out
    assert "Going on after step" in said
    assert "train: 180/180" in said
    assert (bench.cluster.pods, bench.cluster.jobs.objects) == ({}, {})
    assert docker("ps", "--all", "--quiet", "--filter", f"label={LABEL}") == ""
