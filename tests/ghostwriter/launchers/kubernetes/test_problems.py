"""What is said of a pod that failed or did not start, and of an API that refuses; and what is tried again. No container runs."""

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.launchers.kubernetes import stage as kubernetes_stage
from ghostwriter.launchers.kubernetes.stage import KubernetesStageOperator
from tests.ghostwriter.launchers.kubernetes.bench import Bench, make_bench
from tests.kubernetes.attempts import begin, context, fire, resume

__all__ = ["make_bench"]  # a fixture


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
