"""Training on several nodes against the double of the API: an indexed Job, watched by its first pod, found again, one end for all."""

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.launchers.kubernetes import job as kubernetes_job
from ghostwriter.launchers.kubernetes.job import KubernetesJobStageOperator
from ghostwriter.launchers.kubernetes.leftovers import remove_leftovers
from ghostwriter.launchers.kubernetes.problems import LOST_STATUS
from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator
from ghostwriter.launchers.stages import stage_operator
from tests.ghostwriter.launchers.kubernetes.bench import Bench, begin_again, make_bench
from tests.kubernetes.attempts import begin, context, fire, restored, resume

__all__ = ["make_bench"]
Json = dict[str, Any]


@pytest.fixture
def nodes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A cluster with a GPU for each of two pods."""
    monkeypatch.setenv("GHOSTWRITER_NODES", "2")
    bench.cluster.gpus = 2
    return bench


def job_of(nodes: Bench) -> Json:
    """The one Job there is."""
    (job,) = nodes.cluster.jobs.objects.values()
    return job


def pods_of(nodes: Bench) -> list[Json]:
    """Its pods, the first one first."""
    return sorted(nodes.cluster.pods.values(), key=lambda pod: str(pod["metadata"]["name"]))


def begin_running(nodes: Bench, given: Json | None = None) -> Any:
    """The deferral of a task both of whose pods run."""
    deferred = begin(nodes.make, given or context())
    for pod in pods_of(nodes):
        nodes.cluster.run(pod)
    return deferred


def finish(nodes: Bench) -> None:
    """The training succeeds."""
    (nodes.folder / "result.json").write_text(json.dumps({"run_id": None}))
    for pod in pods_of(nodes):
        nodes.cluster.end(pod, 0)


def test_only_training_is_a_job(nodes: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [stage_operator(stage) for stage in ("train", "evaluate", "examine")] == [
        KubernetesJobStageOperator,
        KubernetesStageOperator,
        KubernetesStageOperator,
    ]
    monkeypatch.setenv("GHOSTWRITER_NODES", "1")
    assert stage_operator("train") is KubernetesStageOperator


@pytest.mark.parametrize("version", ["1.28", kubernetes_validate.latest_version()])
def test_the_job_is_valid_and_its_pods_are_as_a_single_one(nodes: Bench, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TEACHER", "http://:seeded-secret-7f31@host")
    begin(nodes.make, context())
    job = {part: job_of(nodes)[part] for part in ("apiVersion", "kind", "metadata", "spec")}
    kubernetes_validate.validate(job, version, strict=True)
    spec, name = dict(job["spec"]), job["metadata"]["name"]
    template = spec.pop("template")
    assert spec == {"completions": 2, "parallelism": 2, "completionMode": "Indexed", "backoffLimit": 0}
    request, first = str(nodes.folder / "request.json"), f"{name}-0.ghostwriter-training-nodes:29500"
    assert template["spec"]["containers"][0]["args"] == ["training", "train", request, "--nodes", "2", "--rendezvous", first]
    assert template["metadata"]["labels"]["ghostwriter.stage"] == "train"  # the Service's and the network policy's selector
    assert job["metadata"]["labels"] == {"ghostwriter.stage": "train"}
    assert job["metadata"]["annotations"]["ghostwriter.run"] == "manual__2026-11-26T04:00:00+00:00"
    assert "seeded-secret-7f31" not in json.dumps(job)
    assert template["spec"].pop("subdomain") == "ghostwriter-training-nodes"
    monkeypatch.setenv("GHOSTWRITER_NODES", "1")
    alone: Any = nodes.make()
    pod = alone.hook.core_v1_client.api_client.sanitize_for_serialization(alone.build_pod_request_obj(context()))
    pod["spec"]["containers"][0]["args"] += ["--nodes", "2", "--rendezvous", first]
    assert template["spec"] == pod["spec"]
    assert template["spec"]["restartPolicy"] == "Never"


def test_a_training_is_over_when_its_first_pod_has_ended_well(nodes: Bench) -> None:
    given = context()
    deferred = begin_running(nodes, given)
    finish(nodes)
    assert resume(nodes.make, given, deferred, fire(deferred))["run_folder"] == str(nodes.folder)
    assert (len(nodes.cluster.jobs.made), len(nodes.cluster.made)) == (1, 2)
    assert (nodes.cluster.jobs.objects, nodes.cluster.pods) == ({}, {})


def fails(nodes: Bench, deferred: Any, kind: type[BaseException]) -> str:
    """What the task says, and that nothing is left."""
    with pytest.raises(AirflowException) as failed:
        resume(nodes.make, context(), deferred, fire(deferred))
    assert type(failed.value) is kind
    assert (nodes.cluster.jobs.objects, nodes.cluster.pods) == ({}, {})
    return str(failed.value)


def test_the_last_lines_are_those_of_the_pod_that_failed_though_the_first_one_was_only_ended(nodes: Bench) -> None:
    deferred = begin_running(nodes)
    nodes.cluster.end(pods_of(nodes)[1], 1, message="step 7\nThe disk is full.")
    said = fails(nodes, deferred, AirflowFailException)
    assert said.endswith("training train ended with status 1 and no result. Its last lines:\nstep 7\nThe disk is full.")


def test_of_pods_that_failed_the_first_to_fail_is_asked(nodes: Bench) -> None:
    deferred = begin_running(nodes)
    nodes.node.holds = True
    first, second = pods_of(nodes)
    for pod, status, at, message in ((second, 1, "04:00:07", "The disk is full."), (first, LOST_STATUS, "04:00:12", "lost")):
        nodes.cluster.end(pod, status, message=message)
        ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
        nodes.cluster.container(pod, terminated={**ended, "finishedAt": f"2026-11-26T{at}Z"})
    nodes.node.holds = False
    for pod in (first, second):
        pod["metadata"].pop("deletionTimestamp", None)
    assert fails(nodes, deferred, AirflowFailException).endswith("Its last lines:\nThe disk is full.")


def test_a_pod_that_vanished_with_its_node_is_retried(nodes: Bench) -> None:
    deferred = begin_running(nodes)
    first, second = pods_of(nodes)
    nodes.cluster.gone(second)
    nodes.cluster.end(first, LOST_STATUS, message="Process 1 of 2 lost another")
    said = fails(nodes, deferred, AirflowException)
    assert "lost another pod of its training. Run the task again: it goes on from its checkpoint." in said


def test_a_removed_job_is_retried(nodes: Bench) -> None:
    deferred = begin_running(nodes)
    nodes.cluster.jobs.delete(job_of(nodes)["metadata"]["name"], "Foreground")
    assert "was removed. Run the task again" in fails(nodes, deferred, AirflowException)


def test_a_retry_follows_the_job_of_the_attempt_before_and_takes_it_over(nodes: Bench) -> None:
    begin_running(nodes)
    begin(nodes.make, context(run="another", attempt=2))
    assert len(nodes.cluster.jobs.made) == 1
    assert job_of(nodes)["metadata"]["annotations"]["ghostwriter.run"] == "another"


def test_a_job_that_ended_well_while_nobody_watched_is_not_run_again(nodes: Bench) -> None:
    begin_running(nodes)
    finish(nodes)
    assert nodes.make().execute(context(attempt=2))["run_folder"] == str(nodes.folder)
    assert (len(nodes.cluster.jobs.made), nodes.cluster.jobs.objects) == (1, {})


def test_a_job_whose_creation_was_never_answered_is_found_again(nodes: Bench) -> None:
    nodes.server.unanswered = threading.Event()
    nodes.server.unanswered.set()
    with pytest.raises(AirflowException, match="No Kubernetes API server answers"):
        nodes.make().execute(context())
    begin(nodes.make, context(attempt=2))
    assert (len(nodes.cluster.jobs.made), len(nodes.cluster.pods)) == (1, 2)


def test_a_failed_job_and_one_on_its_way_out_are_replaced_once_they_are_gone(nodes: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begin_running(nodes)
    nodes.cluster.end(pods_of(nodes)[1], 1)
    begin_running(nodes, context(attempt=2))
    nodes.node.holds = True
    nodes.cluster.jobs.delete(job_of(nodes)["metadata"]["name"], "Foreground")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            for pod in pods_of(nodes):
                nodes.cluster.gone(pod)

    monkeypatch.setattr("ghostwriter.launchers.kubernetes.job.time.sleep", wait)
    begin(nodes.make, context(attempt=3))
    assert (len(waits), len(nodes.cluster.jobs.made), len(nodes.cluster.pods)) == (3, 3, 2)
    assert "deletionTimestamp" not in job_of(nodes)["metadata"]


def graces(nodes: Bench) -> list[int]:
    return [pod["metadata"]["deletionGracePeriodSeconds"] for pod in pods_of(nodes)]


def test_a_killed_task_asks_all_pods_to_end_with_their_own_grace(nodes: Bench) -> None:
    operator = nodes.make()
    begin(lambda: operator, context())
    nodes.node.holds = True
    for pod in pods_of(nodes):
        nodes.cluster.run(pod)
    operator.on_kill()
    assert graces(nodes) == [60, 60]
    assert "deletionTimestamp" in job_of(nodes)["metadata"]
    for pod in pods_of(nodes):
        nodes.cluster.gone(pod)
    assert nodes.cluster.jobs.objects == {}


def test_a_deferred_task_that_is_marked_or_cleared_asks_all_pods_to_end(nodes: Bench) -> None:
    deferred = begin_running(nodes)
    nodes.node.holds = True
    asyncio.run(restored(deferred).on_kill())
    assert graces(nodes) == [60, 60]  # one pod's end is the Job's


def test_a_triggerer_that_lost_sight_of_the_first_pod_watches_it_again(nodes: Bench) -> None:
    begin_running(nodes)
    name = pods_of(nodes)[0]["metadata"]["name"]
    again = begin_again(nodes, context(), {"status": "error", "name": name, "namespace": "training", "message": "lost"})
    finish(nodes)
    assert resume(nodes.make, context(), again, fire(again))["run_id"] == ""


def test_a_quota_that_lets_no_pod_be_made_is_said(nodes: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_job, "POD_SECONDS", 0.1)
    nodes.cluster.quota = 0
    with pytest.raises(AirflowFailException, match=r"made no pod for job .* exceeded quota: training.* must have room for 2 pods"):
        nodes.make().execute(context())
    assert nodes.cluster.jobs.objects == {}


def test_no_free_gpu_is_said_in_the_schedulers_words(nodes: Bench) -> None:
    nodes.cluster.gpus = 0
    assert "The scheduler says: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu." in nodes.fails()
    assert (nodes.cluster.jobs.objects, nodes.cluster.pods) == ({}, {})


def test_a_job_that_no_task_needs_is_removed_with_its_pods(nodes: Bench, tmp_path: Path) -> None:
    begin_running(nodes, context(run="over"))
    assert remove_leftovers(lambda labels: labels["ghostwriter.run"] == "over") == []
    name = job_of(nodes)["metadata"]["name"]
    assert remove_leftovers(lambda labels: labels["ghostwriter.run"] != "over") == [name]
    deleted = [path.rsplit("/", 1)[-1] for verb, path, _ in nodes.server.calls if verb == "DELETE"]
    assert deleted == [name]
