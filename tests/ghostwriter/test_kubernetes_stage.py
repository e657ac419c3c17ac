"""The launcher for Kubernetes against a double of its API over HTTP: made, watched, found again, refused, removed. No container runs."""

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter import kubernetes_stage
from ghostwriter.errors import LaunchInterrupted
from ghostwriter.kubernetes_leftovers import remove_leftovers
from ghostwriter.kubernetes_settings import PodSettings
from ghostwriter.kubernetes_stage import KubernetesStageOperator
from ghostwriter.operators import stage_operator
from tests.kubernetes.api_server import ApiServer
from tests.kubernetes.attempts import begin, context, fire, restored, resume, run
from tests.kubernetes.cluster import Cluster, ManualNode
from training.contract import TrainRequest, load_recipe, write_json

SETTINGS = {
    "GHOSTWRITER_LAUNCHER": "kubernetes",
    "GHOSTWRITER_TRAINING_IMAGE": "ghostwriter-training",
    "GHOSTWRITER_K8S_NAMESPACE": "training",
    "GHOSTWRITER_K8S_PRIORITY_CLASS": "training",
    "GHOSTWRITER_DATA_CLAIM": "ghostwriter-home",
    "GHOSTWRITER_NETRC_SECRET": "mlflow-login",
    "GHOSTWRITER_TRAINING_MEMORY": "512Mi",
    "GHOSTWRITER_HOME": "/var/lib/ghostwriter",
    "GHOSTWRITER_K8S_START_SECONDS": "1",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
}


class Bench:
    """A cluster, its API, and a request to run on it."""

    def __init__(self, folder: Path, server: ApiServer) -> None:
        self.folder, self.server, self.cluster = folder, server, server.cluster
        self.node: Any = server.cluster.node

    def make(self) -> KubernetesStageOperator:
        """The operator, as a new process makes it."""
        operator = stage_operator("train")(task_id="train", stage="train", request=str(self.folder / "request.json"))  # type: ignore[call-arg]
        assert isinstance(operator, KubernetesStageOperator)
        return operator

    @property
    def pod(self) -> dict[str, Any]:
        """The one pod there is."""
        (pod,) = self.cluster.pods.values()
        return pod

    def finish(self) -> None:
        """The training succeeds."""
        (self.folder / "result.json").write_text(json.dumps({"run_id": None}))
        self.cluster.end(self.pod, 0)

    def fails(self, kind: type[BaseException] = AirflowFailException) -> str:
        """What the task says when it fails."""
        with pytest.raises(AirflowException) as failed:
            run(self.make, context())
        assert type(failed.value) is kind
        return str(failed.value)


@pytest.fixture(name="bench")
def make_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    with ApiServer(Cluster(ManualNode())) as server:
        config = server.write_kubeconfig(tmp_path / "kubeconfig")
        connection = json.dumps({"conn_type": "kubernetes", "extra": {"kube_config_path": str(config)}})
        for name, value in {**SETTINGS, "AIRFLOW_CONN_KUBERNETES_DEFAULT": connection}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(kubernetes_stage, "POLL_SECONDS", 0.02)
        (tmp_path / "request.json").write_text(json.dumps({"tracking": None}))
        yield Bench(tmp_path, server)


def test_a_stage_runs_in_one_pod_that_is_removed_afterwards(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make, given)
    bench.cluster.run(bench.pod)
    bench.finish()
    folder = str(bench.folder)
    assert resume(bench.make, given, deferred, fire(deferred)) == {"run_folder": folder, "request": f"{folder}/request.json", "run_id": ""}
    assert len(bench.cluster.made) == 1
    assert bench.cluster.pods == {}


def test_the_pod_says_which_task_instance_it_works_for(bench: Bench) -> None:
    begin(bench.make, context())
    assert bench.pod["metadata"]["annotations"] == {
        "ghostwriter.stage": "train",
        "ghostwriter.dag": "d",
        "ghostwriter.run": "manual__2026-11-26T04:00:00+00:00",
        "ghostwriter.task": "train",
        "ghostwriter.map": "-1",
    }
    assert bench.pod["metadata"]["labels"]["ghostwriter.stage"] == "train"


def test_no_login_of_the_cluster_is_in_the_trigger(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(bench.folder / "kubeconfig"))
    deferred = begin(bench.make, context())
    assert "a-token-of-a-service-account" not in json.dumps(deferred.trigger.serialize(), default=str)


def test_a_retry_follows_the_pod_of_the_attempt_before_and_takes_it_over(bench: Bench) -> None:
    begin(bench.make, context())
    bench.cluster.run(bench.pod)
    begin(bench.make, context(run="another", attempt=2))
    assert len(bench.cluster.made) == 1
    assert bench.pod["metadata"]["annotations"]["ghostwriter.run"] == "another"


def test_a_pod_that_ended_well_while_nobody_watched_is_not_run_again(bench: Bench) -> None:
    begin(bench.make, context())
    bench.finish()
    assert bench.make().execute(context(attempt=2))["run_folder"] == str(bench.folder)
    assert (len(bench.cluster.made), bench.cluster.pods) == (1, {})


def test_a_pod_whose_creation_was_never_answered_is_found_again(bench: Bench) -> None:
    bench.server.unanswered = threading.Event()
    bench.server.unanswered.set()
    with pytest.raises(AirflowException, match="No Kubernetes API server answers") as lost:
        bench.make().execute(context())
    assert type(lost.value) is AirflowException  # which is tried again
    begin(bench.make, context(attempt=2))
    assert len(bench.cluster.made) == 1


def test_a_failed_pod_and_one_on_its_way_out_are_replaced_once_they_are_gone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(bench.make, context())
    bench.cluster.end(bench.pod, 1)
    begin(bench.make, context(attempt=2))
    bench.cluster.run(bench.pod)
    bench.node.holds = True
    bench.cluster.delete(bench.pod["metadata"]["name"], None)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            bench.cluster.gone(bench.pod)

    monkeypatch.setattr("ghostwriter.kubernetes_stage.time.sleep", wait)
    begin(bench.make, context(attempt=3))
    assert len(waits) == 3
    assert len(bench.cluster.made) == 3
    assert "deletionTimestamp" not in bench.pod["metadata"]


def test_a_pod_that_cannot_be_removed_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    begin(bench.make, context())
    bench.cluster.run(bench.pod)
    bench.node.holds = True
    bench.cluster.delete(bench.pod["metadata"]["name"], None)
    monkeypatch.setattr(kubernetes_stage, "REMOVAL_SECONDS", 0)
    assert "is still being removed after 0 s. See whether its node node-1 is gone" in bench.fails(AirflowException)


def end_with(bench: Bench, status: int, reason: str = "", message: str = "", kind: type[BaseException] = AirflowFailException) -> str:
    """What the task says after such an end of its container."""
    given = context()
    deferred = begin(bench.make, given)
    bench.cluster.run(bench.pod)
    bench.cluster.end(bench.pod, status, reason, message)
    with pytest.raises(AirflowException) as failed:
        resume(bench.make, given, deferred, fire(deferred))
    assert type(failed.value) is kind
    assert bench.cluster.pods == {}
    return str(failed.value)


def test_an_error_of_the_training_comes_with_its_last_lines_and_is_not_retried(bench: Bench) -> None:
    said = end_with(bench, 1, message="step 7\nThe dataset is empty.")
    assert said.endswith("training train ended with status 1 and no result. Its last lines:\nstep 7\nThe dataset is empty.")


def test_too_little_memory_is_said(bench: Bench) -> None:
    assert "more than the 512Mi of memory it may use" in end_with(bench, 137, "OOMKilled")


def test_a_stop_is_retried(bench: Bench) -> None:
    assert "was asked to end. Run the task again: it goes on from its checkpoint." in end_with(bench, 143, kind=AirflowException)


def test_an_eviction_is_retried_with_the_clusters_words(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make, given)
    bench.cluster.run(bench.pod)
    bench.cluster.set_status(bench.pod, phase="Failed", reason="Evicted", message="The node was low on resource: memory.")
    with pytest.raises(AirflowException, match=r"outside: Evicted\. The node was low on resource: memory\. Run the task again") as out:
        resume(bench.make, given, deferred, fire(deferred))
    assert type(out.value) is AirflowException


def test_a_preempted_pod_is_retried_with_the_reason(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make, given)
    condition = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler", "message": "for another pod"}
    bench.cluster.end(bench.pod, 137)
    bench.cluster.set_status(bench.pod, conditions=[condition])
    with pytest.raises(AirflowException, match=r"PreemptionByScheduler\. for another pod\. Run the task again"):
        resume(bench.make, given, deferred, fire(deferred))


def test_a_removed_pod_is_retried(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make, given)
    bench.cluster.run(bench.pod)
    bench.cluster.gone(bench.pod)
    with pytest.raises(AirflowException, match=r"was removed\. Run the task again") as removed:
        resume(bench.make, given, deferred, fire(deferred))
    assert type(removed.value) is AirflowException


def test_a_pod_that_was_cleaned_up_after_it_ended_well_is_no_failure(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make, given)
    bench.finish()
    event = fire(deferred)
    bench.cluster.gone(bench.pod)
    assert resume(bench.make, given, deferred, event)["run_folder"] == str(bench.folder)


def test_a_result_that_airflow_does_not_see_is_said(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make, given)
    bench.cluster.end(bench.pod, 0)
    with pytest.raises(AirflowFailException, match="Airflow and the pods have the same ghostwriter-home as /var/lib/ghostwriter"):
        resume(bench.make, given, deferred, fire(deferred))


def test_a_triggerer_that_lost_sight_of_a_running_pod_watches_it_again(bench: Bench) -> None:
    given = context()
    begin(bench.make, given)
    bench.cluster.run(bench.pod)
    lost = {"status": "error", "name": bench.pod["metadata"]["name"], "namespace": "training", "message": "lost"}
    again = begin_again(bench, given, lost)
    assert again.trigger.trigger_kwargs == {"_redefer_count": 1}
    with pytest.raises(AirflowException, match=r"The triggerer cannot watch pod .* The next try follows it"):
        bench.make().trigger_reentry(given, {**lost, "_redefer_count": 20})
    bench.finish()
    assert resume(bench.make, given, again, fire(again))["run_id"] == ""


def test_a_triggerer_that_lost_sight_of_a_waiting_pod_waits_on(bench: Bench) -> None:
    bench.cluster.gpus = 0
    begin(bench.make, context())
    begin_again(bench, context(), {"status": "error", "name": bench.pod["metadata"]["name"], "namespace": "training", "message": "lost"})
    assert len(bench.cluster.pods) == 1


def test_a_running_pod_of_a_task_that_took_too_long_is_asked_to_end(bench: Bench) -> None:
    begin(bench.make, context())
    bench.cluster.run(bench.pod)
    bench.node.holds = True
    late = {"status": "timeout", "name": bench.pod["metadata"]["name"], "namespace": "training", "message": "late"}
    with pytest.raises(AirflowException, match=r"took longer than the task's execution_timeout and was asked to end\. Run the task again"):
        bench.make().trigger_reentry(context(), late)
    assert "deletionTimestamp" in bench.pod["metadata"]


def begin_again(bench: Bench, given: dict[str, Any], event: dict[str, Any]) -> Any:
    """The operator's next deferral."""
    from airflow.sdk.exceptions import TaskDeferred

    with pytest.raises(TaskDeferred) as again:
        bench.make().trigger_reentry(given, event)
    return again.value


def test_no_free_gpu_is_said_in_the_schedulers_words(bench: Bench) -> None:
    bench.cluster.gpus = 0
    said = bench.fails()
    assert (
        "no node took it within 1 s. The scheduler says: 0/1 nodes are available: 1 Insufficient nvidia.com/gpu. It asks for 1 GPUs" in said
    )
    assert bench.cluster.pods == {}


def test_a_missing_image_is_said(bench: Bench) -> None:
    bench.cluster.images.clear()
    said = bench.fails()
    assert "ImagePullBackOff" in said
    assert "See that GHOSTWRITER_TRAINING_IMAGE (ghostwriter-training) is right" in said


def test_a_missing_secret_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.cluster.secrets.clear()
    monkeypatch.setattr(kubernetes_stage, "PULL_SECONDS", 0)
    assert (
        'ContainerCreating. The cluster says: MountVolume.SetUp failed for volume "netrc" : secret "mlflow-login" not found'
        in bench.fails()
    )


REFUSALS = {
    "quota": ({"quota": 0}, r"exceeded quota: training, requested: requests.nvidia.com/gpu=1.* Wait until a pod ends"),
    "priority": ({"priorities": set()}, "no PriorityClass with name training was found. Make the priority class"),
    "account": ({"accounts": set()}, 'serviceaccount "ghostwriter-training" not found. Make the service account'),
    "rights": ({"forbidden": True}, "cannot get resource .* Give Airflow's service account the role for pods and jobs in the namespace"),
}


@pytest.mark.parametrize(("change", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_said_with_what_to_do(bench: Bench, change: dict[str, Any], words: str) -> None:
    vars(bench.cluster).update(change)
    with pytest.raises(AirflowFailException, match=words):
        bench.make().execute(context())


def test_a_wrong_namespace_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_K8S_NAMESPACE", "trainig")
    with pytest.raises(AirflowFailException, match=r'"trainig" not found\. Make the namespace, or change GHOSTWRITER_K8S_NAMESPACE'):
        bench.make().execute(context())


def test_a_login_that_ended_is_said(bench: Bench) -> None:
    bench.server.write_kubeconfig(bench.folder / "kubeconfig", token="old")
    with pytest.raises(AirflowFailException, match=r"refused \(401\): Unauthorized. Its login is wrong or has ended"):
        bench.make().execute(context())


def test_no_api_server_is_said_and_retried(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubernetes_stage.KubernetesStageOperator, "pod_manager", property(quick))
    bench.server.away = True
    with pytest.raises(AirflowException, match="No Kubernetes API server answers") as away:
        bench.make().execute(context())
    assert type(away.value) is AirflowException


def quick(operator: KubernetesStageOperator) -> Any:
    """A pod manager that tries once; the stock one tries for 15 s."""
    return SimpleNamespace(read_pod=lambda pod: operator.client.read_namespaced_pod(pod.metadata.name, pod.metadata.namespace))


def test_a_killed_task_asks_the_pod_to_end_with_its_own_grace(bench: Bench) -> None:
    operator = bench.make()
    begin(lambda: operator, context())
    bench.cluster.run(bench.pod)
    bench.node.holds = True
    operator.on_kill()
    assert bench.pod["metadata"]["deletionGracePeriodSeconds"] == 60


def test_a_deferred_task_that_is_marked_or_cleared_asks_the_pod_to_end(bench: Bench) -> None:
    deferred = begin(bench.make, context())
    bench.cluster.run(bench.pod)
    bench.node.holds = True
    asyncio.run(restored(deferred).on_kill())
    assert bench.pod["metadata"]["deletionGracePeriodSeconds"] == 60


def test_leftovers_are_removed_and_owned_pods_stay(bench: Bench) -> None:
    bench.cluster.gpus = 2
    begin(bench.make, context(run="alive"))
    kept = bench.pod["metadata"]["name"]
    (bench.folder / "other").mkdir()
    (bench.folder / "other" / "request.json").write_text(json.dumps({"tracking": None}))
    begin(Bench(bench.folder / "other", bench.server).make, context(run="over"))
    (gone,) = remove_leftovers(lambda labels: labels["ghostwriter.run"] == "alive")
    assert gone != kept
    assert list(bench.cluster.pods) == [kept]


def test_data_by_url_is_sent_before_the_pod_and_fetched_after_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    store, run_folder = bench.folder / "store", bench.folder / "run"
    (bench.folder / "dataset").mkdir()
    (bench.folder / "dataset" / "direct.jsonl").write_text("{}\n")
    asked = TrainRequest(
        run_folder=run_folder, dataset=bench.folder / "dataset", arm="direct", recipe=load_recipe("tiny"), models=run_folder
    )
    run_folder.mkdir()
    write_json(asked, run_folder / "request.json")
    for name, value in (("CLAIM", ""), ("URL", f"file://{store}")):
        monkeypatch.setenv(f"GHOSTWRITER_DATA_{name}", value)
    monkeypatch.setenv("GHOSTWRITER_HOME", str(bench.folder))
    far, given = Bench(run_folder, bench.server), context()
    deferred = begin(far.make, given)
    assert (store / "dataset" / "direct.jsonl").read_text() == "{}\n"
    assert far.pod["spec"]["containers"][0]["args"][-2:] == ["--data-url", f"file://{store}"]
    bench.cluster.run(far.pod)
    (store / "run" / "result.json").write_text(json.dumps({"run_id": None}))  # the pod sends it
    bench.cluster.end(far.pod, 0)
    assert resume(far.make, given, deferred, fire(deferred))["run_folder"] == str(run_folder)
    assert (run_folder / "result.json").exists()
    assert bench.cluster.pods == {}


def test_a_pod_whose_results_cannot_be_fetched_stays_for_the_next_try(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_settings: PodSettings, _request: Path) -> None:
        raise LaunchInterrupted("The store does not answer.")

    given = context()
    deferred = begin(bench.make, given)
    bench.finish()
    monkeypatch.setattr(kubernetes_stage, "fetch_results", fails)
    with pytest.raises(AirflowException, match="The store does not answer"):
        resume(bench.make, given, deferred, fire(deferred))
    assert len(bench.cluster.pods) == 1
