"""The launcher for Kubernetes against a double of its API over HTTP: made, watched, found again, refused, removed. No container runs."""

import asyncio
import json
import threading
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.errors import LaunchInterrupted
from ghostwriter.launchers.kubernetes import stage as kubernetes_stage
from ghostwriter.launchers.kubernetes.leftovers import remove_leftovers
from ghostwriter.launchers.kubernetes.settings import PodSettings
from tests.ghostwriter.launchers.kubernetes.bench import Bench, begin_again, make_bench
from tests.kubernetes.attempts import begin, context, fire, restored, resume
from training.contract import TrainRequest, load_recipe, write_json

__all__ = ["make_bench"]  # a fixture


def test_a_stage_runs_in_one_pod_that_is_removed_afterwards(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make, given)
    bench.cluster.run(bench.pod)
    bench.finish()
    folder = str(bench.folder)
    assert resume(bench.make, given, deferred, fire(deferred)) == {"run_folder": folder, "request": f"{folder}/request.json", "run_id": ""}
    assert len(bench.cluster.made) == 1
    assert bench.cluster.pods == {}


def test_answering_has_ended_well_with_answers(bench: Bench) -> None:
    given = context()
    deferred = begin(bench.make_evaluation, given)
    (bench.folder / "answered.json").write_text(json.dumps({"run_id": None}))
    bench.cluster.end(bench.pod, 0)
    assert resume(bench.make_evaluation, given, deferred, fire(deferred))["run_folder"] == str(bench.folder)


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

    monkeypatch.setattr("ghostwriter.launchers.kubernetes.stage.time.sleep", wait)
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
    def fails(_settings: PodSettings, _stage: str, _request: Path) -> None:
        raise LaunchInterrupted("The store does not answer.")

    given = context()
    deferred = begin(bench.make, given)
    bench.finish()
    monkeypatch.setattr(kubernetes_stage, "fetch_results", fails)
    with pytest.raises(AirflowException, match="The store does not answer"):
        resume(bench.make, given, deferred, fire(deferred))
    assert len(bench.cluster.pods) == 1
