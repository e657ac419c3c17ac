"""The launcher for Docker, through the real guard, on a stand-in for the engine: start, follow, find again, stop, clean up."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException

from ghostwriter.errors import LaunchError
from ghostwriter.launchers import docker as docker_stage
from ghostwriter.launchers.container import ContainerSettings, container_name, host_config
from ghostwriter.launchers.docker import DockerStageOperator, remove_leftovers
from ghostwriter.launchers.stages import stage_operator
from guard.engine import Engine
from guard.leases import Leases
from guard.policy import Policy
from guard.proxy import Guard
from tests.guard.allowed import POLICY
from tests.guard.engine_server import EngineServer

SETTINGS = {
    "GHOSTWRITER_LAUNCHER": "docker",
    "GHOSTWRITER_TRAINING_IMAGE": "ghostwriter-training",
    "GHOSTWRITER_VOLUME": "gw_home",
    "GHOSTWRITER_NETRC_VOLUME": "gw_netrc",
    "GHOSTWRITER_TRAINING_NETWORK": "gw_training",
    "GHOSTWRITER_TRAINING_MEMORY": "512m",
    "GHOSTWRITER_HOME": "/var/lib/ghostwriter",
    "MLFLOW_TRACKING_URI": "http://127.0.0.1:9",
}
LABELS = {
    "ghostwriter.guard": "gw",
    "ghostwriter.stage": "train",
    "ghostwriter.dag": "d",
    "ghostwriter.run": "r",
    "ghostwriter.task": "train",
}


class ManualEngine(EngineServer):
    """A container ends when its log is first read, with the next exit status of `plan`; with 0 it leaves a result."""

    def __init__(self, path: Path, result: Path) -> None:
        super().__init__(path)
        self.plan: list[int] = []
        self.result = result

    def followed(self, container: str) -> None:
        if not self.plan or not self.containers[container]["State"]["Running"]:
            return
        status = self.plan.pop(0)
        self.end(container, status)
        if status == 0:
            self.result.write_text(json.dumps({"run_id": None}))


def policy(home: Path) -> Policy:
    """The tests' policy, with another home."""
    return replace(POLICY, volumes={**POLICY.volumes, "gw_home": (str(home), False)})


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[ManualEngine]:
    with ManualEngine(tmp_path / "engine.sock", tmp_path / "result.json") as running:
        yield running


@pytest.fixture
def operator(tmp_path: Path, engine: ManualEngine, monkeypatch: pytest.MonkeyPatch) -> Iterator[DockerStageOperator]:
    guard = Guard(("127.0.0.1", 0), policy(tmp_path.parent), Engine(str(engine.path)), Leases())
    threading.Thread(target=guard.serve_forever, args=(0.02,), daemon=True).start()
    url = f"tcp://127.0.0.1:{guard.server_address[1]}"
    changes = {"DOCKER_HOST": url, "GHOSTWRITER_HOME": str(tmp_path.parent)}
    for name, value in {**SETTINGS, **changes}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(docker_stage, "POLL_SECONDS", 0.01)
    (tmp_path / "request.json").write_text(json.dumps({"tracking": None}))
    yield DockerStageOperator(task_id="train", stage="train", request=str(tmp_path / "request.json"))
    guard.shutdown()
    guard.server_close()


def context(**stored: str) -> dict[str, Any]:
    store = SimpleNamespace(get=stored.get, set=stored.__setitem__)
    instance = SimpleNamespace(dag_id="d", run_id="manual__2026", task_id="train", map_index=-1, stats_tags={})
    return {"ti": instance, "task_state_store": store, "stored": stored}


def name_of(operator: DockerStageOperator) -> str:
    return container_name(operator.settings, "train", operator.request)


def test_a_stage_runs_in_one_hardened_container_that_is_removed_afterwards(operator: DockerStageOperator, engine: ManualEngine) -> None:
    engine.plan = [0]
    assert operator.execute(context()) == {
        "run_folder": str(engine.result.parent),
        "request": operator.request,
        "run_id": "",
    }
    (made,) = engine.created
    assert made["Cmd"] == ["training", "train", operator.request]
    assert made["Labels"] == {
        "ghostwriter.stage": "train",
        "ghostwriter.dag": "d",
        "ghostwriter.run": "manual__2026",
        "ghostwriter.task": "train",
        "ghostwriter.map": "-1",
        "ghostwriter.guard": "gw",
        "com.docker.compose.project": "",
        "com.docker.compose.service": "",
    }
    home = str(engine.result.parents[1])
    assert made["HostConfig"]["Mounts"] == [
        {"Type": "volume", "Source": "gw_home", "Target": home, "ReadOnly": False},
        {"Type": "volume", "Source": "gw_netrc", "Target": "/run/ghostwriter", "ReadOnly": True},
    ]
    assert engine.containers == {}


def test_a_container_is_told_the_mirror_and_no_token(
    operator: DockerStageOperator, engine: ManualEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {**POLICY.network_settings, "HTTPS_PROXY": "http://me:seeded@proxy:3128", "HF_TOKEN": "hf_seeded"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    engine.plan = [0]
    operator.execute(context())
    assert engine.created[0]["Env"] == ["HF_ENDPOINT=https://mirror.example.org", "NO_PROXY=mlflow,localhost"]
    assert "seeded" not in json.dumps(engine.created)


def test_without_the_guard_the_launcher_hardens_all_the_same(operator: DockerStageOperator, engine: ManualEngine) -> None:
    operator.docker_url = f"unix://{engine.path}"
    engine.plan = [0]
    operator.execute(context())
    host = {name: value for name, value in engine.created[0]["HostConfig"].items() if value}
    assert host.pop("Mounts")
    assert host == {
        "NetworkMode": "gw_training",
        "Memory": 2**29,
        "ShmSize": 2**30,
        "PidsLimit": 4096,
        "ReadonlyRootfs": True,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges:true"],
        "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=1g"},
        "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}},
    }
    assert engine.created[0]["User"] == "10001:10001"


def test_gpus_are_asked_for_as_the_guard_gives_them(
    operator: DockerStageOperator,
    tmp_path: Path,
) -> None:
    settings = replace(operator.settings, gpus="all")
    body = {
        "Image": settings.image,
        "Cmd": ["training", "train", operator.request],
        "Labels": {**LABELS, "ghostwriter.map": "-1"},
        "HostConfig": host_config(operator.cli, settings),
    }
    body["Labels"].pop("ghostwriter.guard")
    made = replace(policy(tmp_path.parent), gpus=-1).create_body(body)
    assert made["HostConfig"]["DeviceRequests"][0]["Count"] == -1


def test_measuring_asks_for_no_gpu_and_leaves_memory_for_a_training(
    operator: DockerStageOperator, engine: ManualEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GHOSTWRITER_GPUS", "all")
    engine.plan = [0]
    DockerStageOperator(task_id="measure", stage="measure", request=operator.request).execute(context())
    (made,) = engine.created
    assert made["Cmd"] == ["training", "measure", operator.request]
    assert (made["HostConfig"]["DeviceRequests"], made["HostConfig"]["Memory"]) == ([], 2**29)
    settings = replace(operator.settings, memory="64g")
    assert (settings.for_stage("measure").memory, settings.for_stage("evaluate").memory) == ("8g", "64g")


def test_a_retry_follows_the_container_of_the_killed_attempt(operator: DockerStageOperator, engine: ManualEngine) -> None:
    running = engine.add(name_of(operator), LABELS)
    engine.logs[running] = [("2026-11-26T04:00:00.000000001Z", "step 7")]
    engine.plan = [0]
    operator.execute(context(container=running))
    assert engine.created == []
    assert engine.containers == {}


def test_a_container_whose_id_was_never_kept_is_found_by_its_name(operator: DockerStageOperator, engine: ManualEngine) -> None:
    engine.add(name_of(operator), LABELS)
    engine.plan = [0]
    operator.execute(context())
    assert engine.created == []


def test_after_the_stop_of_an_attempt_before_this_one_goes_on(operator: DockerStageOperator, engine: ManualEngine) -> None:
    engine.add(name_of(operator), LABELS)
    engine.plan = [143, 0]
    operator.execute(context())
    assert len(engine.created) == 1


def test_a_stop_by_someone_else_is_retried_and_an_error_is_not(operator: DockerStageOperator, engine: ManualEngine) -> None:
    engine.plan = [143]
    with pytest.raises(AirflowException, match="goes on from its checkpoint") as stopped:
        operator.execute(context())
    assert not isinstance(stopped.value, AirflowFailException)
    engine.plan = [1]
    with pytest.raises(AirflowFailException, match="ended with status 1 and no result"):
        operator.execute(context())


def test_the_last_lines_are_in_the_error(operator: DockerStageOperator, engine: ManualEngine) -> None:
    running = engine.add(name_of(operator), LABELS)
    engine.logs[running] = [("2026-11-26T04:00:00.000000001Z", "step 7"), ("2026-11-26T04:00:01.000000001Z", "The dataset is empty.")]
    engine.plan = [1]
    with pytest.raises(AirflowFailException, match=r"step 7\nThe dataset is empty\."):
        operator.execute(context())


def test_too_little_memory_is_said(operator: DockerStageOperator, engine: ManualEngine) -> None:
    running = engine.add(name_of(operator), LABELS, running=False)
    engine.containers[running]["State"] |= {"Running": True, "OOMKilled": True}
    engine.plan = [137]
    with pytest.raises(AirflowFailException, match="more than the 512m of memory it may use"):
        operator.execute(context())


def test_killing_the_task_asks_the_container_to_end(operator: DockerStageOperator, engine: ManualEngine) -> None:
    running = engine.add(name_of(operator), LABELS)
    operator.on_kill()
    assert ("POST", f"/containers/{running}/stop", {"t": "25"}) in engine.calls


def test_no_engine_is_said_with_what_to_do(operator: DockerStageOperator) -> None:
    operator.docker_url = "tcp://127.0.0.1:9"
    with pytest.raises(AirflowException, match=r"No Docker engine answers .* Start it, and the service `guard`; then run again"):
        operator.execute(context())


def test_a_refused_image_is_said(operator: DockerStageOperator) -> None:
    object.__setattr__(operator.settings, "image", "another")
    with pytest.raises(AirflowFailException, match="Image 'another' is not allowed, only ghostwriter-training"):
        operator.execute(context())


def test_leftovers_are_removed_and_owned_containers_stay(operator: DockerStageOperator, engine: ManualEngine) -> None:
    kept = engine.add("kept", {**LABELS, "ghostwriter.run": "alive"})
    engine.add("left", LABELS, running=False)
    engine.add("running", LABELS)
    gone = remove_leftovers(lambda labels: labels["ghostwriter.run"] == "alive")
    assert sorted(gone) == ["left", "running"]
    assert list(engine.containers) == [kept]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"GHOSTWRITER_VOLUME": None}, "GHOSTWRITER_VOLUME is not set"),
        ({"GHOSTWRITER_GPUS": "two"}, "GHOSTWRITER_GPUS is 'two'"),
        ({"GHOSTWRITER_LAUNCHER": "podman"}, "GHOSTWRITER_LAUNCHER is 'podman'. Set it to `local`, `docker` or `kubernetes`."),
    ],
)
def test_a_wrong_setting_is_said(monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], words: str) -> None:
    for name, value in {**SETTINGS, **changes}.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name, raising=False)
    with pytest.raises(LaunchError, match=words):
        stage_operator("train")
        _ = ContainerSettings.from_environment().gpu_count
