"""The compose stack on a real engine: the demo's loop in containers, kills at every level, secrets, and coming back. In this order."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ghostwriter.embedded.airflow_api import AirflowApi
from tests.docker.search import dump, files_with, in_layers, made_secrets
from tests.docker.stack import HUB_TOKEN, SEEDED, Stack, new_stack, wait_for

ORPHAN_SECONDS = 60
DEMO_SECONDS = 900
GUARD = "http://guard:2375"
ATTACK, PROBLEMS = (Path(__file__).with_name(f"{name}.py") for name in ("attack", "problems"))
CONTROL = "The guarded Docker API"
"""Stands in an image."""
IMAGES = [f"ghostwriter-{name}" for name in ("airflow", "mlflow", "guard", "training")]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = new_stack()
    if not running.environment.get("AIRFLOW_PORT"):
        pytest.fail("Run these tests with `make test-docker`: it builds the images first.")
    running.up("demo")
    yield running


@pytest.fixture(scope="module")
def api(stack: Stack) -> AirflowApi:
    return stack.api


@pytest.fixture(scope="module")
def demo(stack: Stack) -> str:
    """What the demo printed at its end."""
    return stack.compose("--profile", "demo", "run", "--rm", "--no-deps", "--no-TTY", "demo", seconds=DEMO_SECONDS).stdout


def test_every_service_is_healthy_and_hardened(stack: Stack) -> None:
    ids = stack.compose("--profile", "demo", "ps", "--quiet").stdout.split()
    services = json.loads(stack.docker("inspect", *ids))
    assert len(services) == 9
    for service in services:
        host, name = service["HostConfig"], service["Name"]
        assert service["State"]["Health"]["Status"] == "healthy", name
        assert (host["ReadonlyRootfs"], host["CapDrop"], host["Privileged"]) == (True, ["ALL"], False), name
        assert host["SecurityOpt"] == ["no-new-privileges:true"], name
        published = [port["HostIp"] for ports in (service["NetworkSettings"]["Ports"] or {}).values() for port in ports or []]
        assert set(published) <= {"127.0.0.1"}, name
    guard = next(one for one in services if one["Name"] == "/ghostwriter-test-guard-1")
    assert guard["HostConfig"]["Memory"] == 256 * 2**20
    holders = [one["Name"] for one in services if any("docker.sock" in mount["Source"] for mount in one["Mounts"])]
    assert holders == ["/ghostwriter-test-guard-1"]


def test_airflow_and_mlflow_want_a_login(stack: Stack) -> None:
    import requests

    airflow, mlflow = (f"http://127.0.0.1:{stack.environment[name]}" for name in ("AIRFLOW_PORT", "MLFLOW_PORT"))
    assert requests.get(f"{airflow}/api/v2/dags", timeout=30).status_code == 401
    assert requests.get(f"{mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0", timeout=30).status_code == 401
    answer = requests.get(f"{mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0", auth=("admin", stack.password), timeout=30)
    assert answer.status_code == 200


REFUSALS = {
    "a bind mount of the host": {"HostConfig": {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/var/lib/ghostwriter"}]}},
    "a privileged container": {"HostConfig": {"Privileged": True}},
    "another image": {"Image": "stand-in/postgres"},
    "the host's network": {"HostConfig": {"NetworkMode": "host"}},
    "the host's processes": {"HostConfig": {"PidMode": "host"}},
    "a device": {"HostConfig": {"Devices": [{"PathOnHost": "/dev/mem", "PathInContainer": "/dev/mem"}]}},
}


def test_the_guarded_api_refuses_what_would_reach_the_host(stack: Stack) -> None:
    asked = ["python", "-c", ATTACK.read_text(), "change", json.dumps(REFUSALS)]
    answer = stack.compose("exec", "--no-TTY", "scheduler", *asked).stdout
    assert json.loads(answer) == {"nothing of it": 201, **dict.fromkeys(REFUSALS, 403)}


def test_only_tasks_reach_the_guarded_api(stack: Stack) -> None:
    program = f"import urllib.request as r; r.urlopen('{GUARD}/_ping', timeout=3)"
    reached = [
        service
        for service in ("scheduler", "api-server", "triggerer", "dag-processor", "mlflow")
        if stack.compose("exec", "--no-TTY", service, "python", "-c", program, check=False).returncode == 0
    ]
    assert reached == ["scheduler"]


def test_the_demo_runs_from_collecting_to_a_champion_in_containers(stack: Stack, demo: str) -> None:
    assert "Promote" in demo or "Not promoted" in demo, demo[-3000:]
    assert "held-out questions, with 95 % intervals" in demo
    assert stack.containers(running=False) == []


@pytest.fixture(scope="module")
def killed_run(api: AirflowApi, demo: str) -> str:
    """A run of `kill_check`, longer than any machine needs for the tests below, which kill it one after the other."""
    wait_for(lambda: api.has_dag("kill_check"), 60, "parsing kill_check")
    return api.trigger("kill_check", {"seed": 1})


def state_of(api: AirflowApi, run: str, dag: str = "kill_check") -> tuple[str | None, int]:
    task = next(task for task in api.tasks(dag, run) if task["task_id"] == "train")
    return task["state"], task["try_number"]


def test_after_a_kill_of_the_task_the_retry_follows_the_same_container(stack: Stack, api: AirflowApi, killed_run: str) -> None:
    before = stack.training()
    assert stack.kill_processes("scheduler", "airflow worker -- 0") >= 1
    wait_for(lambda: state_of(api, killed_run) == ("running", 2), 60, "the second attempt")
    log = wait_for(lambda: "Reconnecting" in "\n".join(api.log_lines("kill_check", killed_run, "train", 2)), 30, "re-attaching")
    assert log
    assert [one["Id"] for one in stack.containers()] == [before["Id"]]


def test_a_container_of_a_killed_scheduler_ends_within_a_minute_and_the_rerun_goes_on(
    stack: Stack, api: AirflowApi, killed_run: str
) -> None:
    before = stack.training(after_step=2)
    stack.compose("kill", "--signal", "KILL", "scheduler")
    wait_for(lambda: not stack.containers(), ORPHAN_SECONDS, "no container without an owner")
    stack.compose("up", "--detach", "--no-deps", "scheduler")
    after = stack.training(after_step=3)
    assert after["Id"] != before["Id"]
    assert "Going on after step" in stack.log(after)
    assert len(stack.containers()) == 1


def test_a_task_cleared_while_it_runs_goes_on_from_the_checkpoint(stack: Stack, api: AirflowApi, killed_run: str) -> None:
    before = stack.training(after_step=4)
    body = {"dry_run": False, "dag_run_id": killed_run, "task_ids": ["train"], "only_failed": False}
    api._call("POST", "dags/kill_check/clearTaskInstances", json=body)
    after = wait_for(lambda: next((one for one in stack.containers() if one["Id"] != before["Id"]), None), 120, "the next container")
    wait_for(lambda: "Going on after step" in stack.log(after), 60, "going on from the checkpoint")
    assert len(stack.containers()) == 1


def stays_empty(stack: Stack) -> bool:
    """Whether nothing runs, and nothing does five seconds later: a container may have been on its way."""
    if stack.containers():
        return False
    time.sleep(5)
    return not stack.containers()


def test_a_task_marked_failed_leaves_nothing_running(stack: Stack, api: AirflowApi, killed_run: str) -> None:
    stack.training(after_step=5)
    api.patch(f"dags/kill_check/dagRuns/{killed_run}/taskInstances/train", {"new_state": "failed"})
    wait_for(lambda: stays_empty(stack), ORPHAN_SECONDS, "no container without an owner, for good")


def test_a_task_over_its_time_limit_leaves_nothing_running(stack: Stack, api: AirflowApi, demo: str) -> None:
    run = api.trigger("kill_check_in_time", {"seed": 2})
    inspected = json.dumps(wait_for(stack.containers, 60, "a training container"))
    assert [secret for secret in (*SEEDED, *made_secrets(stack)) if secret in inspected] == []
    assert api.wait_finished("kill_check_in_time", run, 120) == "failed"
    wait_for(lambda: not stack.containers(), ORPHAN_SECONDS, "no container without an owner")


def test_an_orphan_of_the_last_attempt_ends_and_the_maintenance_dag_removes_it(stack: Stack, api: AirflowApi, demo: str) -> None:
    run = api.trigger("kill_check_in_time", {"seed": 3})
    orphan = wait_for(stack.containers, 60, "a training container")[0]
    assert stack.kill_processes("scheduler", "airflow worker -- 0") >= 1
    wait_for(lambda: not stack.containers(), ORPHAN_SECONDS, "no container without an owner")
    assert api.wait_finished("kill_check_in_time", run, 60) == "failed"
    swept = api.trigger("maintenance")
    assert api.wait_finished("maintenance", swept, 60) == "success"
    sweeps = [str(each["dag_run_id"]) for each in api.runs("maintenance")]  # at the full hour its own one comes first
    removed = [name for sweep in sweeps for name in api.xcom("maintenance", sweep, "remove_leftovers")]
    assert orphan["Name"].lstrip("/") in removed
    assert stack.containers(running=False) == []


def problems(stack: Stack, *changes: dict[str, str]) -> str:
    """What a task says of settings that the engine or its guard refuses, and of no engine."""
    return stack.compose("exec", "--no-TTY", "scheduler", "python", "-c", PROBLEMS.read_text(), json.dumps(changes)).stdout


def test_what_is_missing_on_the_host_is_said_with_what_to_do(stack: Stack) -> None:
    changes = ({"image": "stand-in/postgres"}, {"network": "another"}, {"memory": "1000g"})
    said = problems(stack, {"gpus": "1"}, *changes)
    for words in (
        "gpus The Docker engine refused the container",
        "HostConfig.DeviceRequests asks for other devices than the guard gives: 0 GPUs.",
        "Image 'stand-in/postgres' is not allowed, only ghostwriter-training.",
        "HostConfig.NetworkMode 'another' is not allowed, only ghostwriter-test_training.",
        "HostConfig.Memory must be between 1 and 4294967296",
        "engine No Docker engine answers",
    ):
        assert words in said, said


def test_a_host_without_gpus_is_said_with_what_to_do(stack: Stack) -> None:
    restart = ["up", "--detach", "--no-deps", "--wait", "guard"]
    Stack({**stack.environment, "GPUS": "1"}).compose(*restart)
    try:
        said = problems(stack, {"gpus": "1"})
    finally:
        stack.compose(*restart)
    words = "gpus The Docker engine refused the container: could not select device driver"
    assert words in said, said
    advice = "The host has no GPU runtime: install the NVIDIA Container Toolkit, or set GPUS=0."
    assert advice in said, said


def test_a_missing_image_is_said_with_what_to_do(stack: Stack) -> None:
    stack.docker("tag", "ghostwriter-training", "another-name")
    stack.docker("rmi", "ghostwriter-training")
    try:
        said = problems(stack, {})
    finally:
        stack.docker("tag", "another-name", "ghostwriter-training")
        stack.docker("rmi", "another-name")
    assert "The Docker engine has no image 'ghostwriter-training'. Build it with `make images`, or pull it." in said


def test_no_secret_stands_anywhere_it_can_be_read(stack: Stack, demo: str) -> None:
    secrets = [*SEEDED, *made_secrets(stack)]
    places = {
        "logs of the services": stack.compose("--profile", "demo", "logs", "--no-color").stdout,
        "docker inspect": stack.docker("inspect", *stack.docker("ps", "--all", "--quiet").split()),
        "settings of the images": stack.docker("inspect", *IMAGES),
        "Airflow's and MLflow's databases": "".join(dump(stack, name) for name in ("airflow", "mlflow", "ghostwriter")),
    }
    assert len(places["Airflow's and MLflow's databases"]) > 100_000
    found = {place: [secret for secret in secrets if secret in text] for place, text in places.items()}
    found |= {f"volume {volume}": files_with(stack, volume, secrets) for volume in ("logs", "home", "mlflow")}
    assert {place: hits for place, hits in found.items() if hits} == {}


def test_the_search_of_volumes_finds_what_is_there(stack: Stack, demo: str) -> None:
    assert files_with(stack, "logs", ["No such words", "read_site"])
    assert files_with(stack, "netrc", [HUB_TOKEN]) == ["/searched/training.env"]


@pytest.fixture(scope="module")
def layers(stack: Stack) -> Iterator[Future[list[str]]]:
    """The search of all images, which takes most of a minute, begun by the first test that waits a lot."""
    with ThreadPoolExecutor(1) as beside:
        yield beside.submit(in_layers, IMAGES, [*SEEDED, *made_secrets(stack), CONTROL])


def test_databases_of_older_versions_are_upgraded_and_nothing_is_lost(
    stack: Stack, api: AirflowApi, demo: str, layers: Future[list[str]]
) -> None:
    before = {run["dag_run_id"] for run in api.runs("lamplight_train")}
    stack.compose("stop", "--timeout", "5", "api-server", "scheduler", "dag-processor", "triggerer")
    stack.compose("run", "--rm", "--no-deps", "--no-TTY", "migrate", "airflow", "db", "downgrade", "--yes", "--to-version", "3.2.0")
    stack.compose("--profile", "*", "down", "--timeout", "5")
    stack.up("celery", "s3", EXECUTOR="CeleryExecutor", MLFLOW_ARTIFACTS="s3://ghostwriter/mlflow")
    assert before
    assert {run["dag_run_id"] for run in stack.api.runs("lamplight_train")} == before


KEEP = """
from pathlib import Path
from mlflow import MlflowClient
client = MlflowClient()
run = client.create_run(client.create_experiment("stored")).info.run_id
client.log_text(run, "kept in the store", "note.txt")
print(f"{run}/artifacts/note.txt", Path(client.download_artifacts(run, "note.txt")).read_text(), sep="=")
"""
KEPT = """
import boto3
print(boto3.client("s3", endpoint_url="http://store:9000").list_objects_v2(Bucket="ghostwriter")["Contents"])
"""


def test_with_the_object_store_artifacts_go_into_its_bucket(stack: Stack, api: AirflowApi) -> None:
    name, _, text = stack.compose("exec", "--no-TTY", "scheduler", "python", "-c", KEEP).stdout.strip().rpartition("\n")[2].partition("=")
    assert text == "kept in the store"
    assert name in stack.compose("exec", "--no-TTY", "mlflow", "python", "-c", KEPT).stdout


def test_with_celery_another_worker_goes_on_with_what_a_killed_one_did(stack: Stack, api: AirflowApi, killed_run: str) -> None:
    run = api.trigger("kill_check", {"seed": 4})
    stack.training()
    killed = host_of(api, run)
    stack.docker("kill", "--signal", "KILL", killed)
    wait_for(lambda: state_of(api, run) == ("running", 2), 120, "the second attempt")
    stack.training(after_step=3)
    assert host_of(api, run) != killed
    assert len(stack.containers()) == 1


def host_of(api: AirflowApi, run: str) -> str:
    """The container, by its short id, in which the task runs."""
    return str(next(task for task in api.tasks("kill_check", run) if task["task_id"] == "train")["hostname"])


def test_no_secret_stands_in_the_layers_of_the_images(layers: Future[list[str]]) -> None:
    assert layers.result(timeout=300) == [CONTROL]


def test_another_folder_of_secrets_is_said_with_what_to_do(stack: Stack) -> None:
    (stack.secrets / "airflow_pgpass").write_text("postgres:5432:*:*:not-the-password\n")
    refused = stack.compose("run", "--rm", "--no-TTY", "migrate", check=False)
    assert refused.returncode == 1
    assert "password authentication failed" in refused.stderr
    assert "secrets/ is not the folder these volumes were made with. Put that folder back" in refused.stderr
