"""The guard on a real engine, with an attacker in the scheduler's container."""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docker.stack import PROJECT, Stack, new_stack

ATTACK = Path(__file__).with_name("attack.py").read_text()
POLL_SECONDS = 60
FOREIGN = ["ghostwriter-train-0123456789abcdef", "backup"]
SECRET = "SEEDED=a-foreign-containers-secret"
SERVICES = ["postgres", "store", "mlflow"]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    running = new_stack()
    if not running.environment.get("AIRFLOW_PORT"):
        pytest.fail("Run these tests with `make test-docker`: it builds the images first.")
    running.compose("--profile", "s3", "up", "--detach", "--wait", "guard", *SERVICES)
    yield running
    running.compose("--profile", "s3", "rm", "--stop", "--force", "store")
    home = f"type=volume,src={PROJECT}_home,dst=/home"
    remove = ["--entrypoint", "rm", "ghostwriter-guard", "-r", "/home/runs/attack"]
    running.docker("run", "--rm", "--user", "0", "--mount", home, *remove)


def client(stack: Stack, *arguments: str) -> list[str]:
    """The command line of a client of the guard, where the scheduler is."""
    run = ["run", "--rm", "--no-deps", "--no-TTY", "scheduler", "python", "-c", ATTACK]
    return stack.command(*run, *arguments)


def attack(stack: Stack, *arguments: str) -> Any:
    """What an attack in the scheduler's container came to."""
    done = stack.run(client(stack, *arguments), 120, check=True)
    return json.loads(done.stdout.strip().rpartition("\n")[2])


def test_no_container_can_take_the_name_of_a_service(stack: Stack) -> None:
    taken = [*SERVICES, "redis", "huggingface.co", f"{PROJECT}-mlflow-1", FOREIGN[0]]
    made = attack(stack, "create", *taken, "honest")
    (honest,) = set(made) - set(taken)
    assert made == {**dict.fromkeys(taken, 403), honest: 201}


def test_a_foreign_container_is_out_of_reach_also_while_it_is_made(stack: Stack) -> None:
    seconds = str(POLL_SECONDS)
    with subprocess.Popen(
        client(stack, "poll", seconds, *FOREIGN),
        stdout=subprocess.PIPE,
        text=True,
        env=stack.environment,
    ) as polling:
        made = 0
        while polling.poll() is None:
            for name in FOREIGN:
                make = ["run", "--detach", "--name", name, "--env", SECRET]
                sleep = ["--entrypoint", "sleep", "ghostwriter-guard", "60"]
                stack.docker(*make, *sleep, check=False)
                time.sleep(0.3)
                state = stack.docker("inspect", "--format", "{{.State.Running}}", name, check=False)
                stack.docker("rm", "--force", name, check=False)
                assert state == "true\n", f"{name} was touched after {made} others"
                made += 1
        assert polling.stdout
        polled = json.loads(polling.stdout.read().strip().rpartition("\n")[2])
    assert made > 20
    assert polled["told"] == []
    assert set(polled["statuses"]) == {"403", "404"}
    assert polled["statuses"]["403"] > made


def addresses(stack: Stack, service: str) -> dict[str, str]:
    """Network, less the project, to a service's address on it."""
    format = "{{json .NetworkSettings.Networks}}"
    found = json.loads(stack.docker("inspect", "--format", format, f"{PROJECT}-{service}-1"))
    return {name.partition("_")[2]: network["IPAddress"] for name, network in found.items()}


INSIDE = """
import json, socket, sys, urllib.request
addresses = json.loads(sys.argv[1])

def name(service):
    try:
        return socket.gethostbyname(service)
    except socket.gaierror:
        return None

def answers(address, port):
    try:
        socket.create_connection((address, port), 2).close()
        return True
    except OSError:
        return False

print(json.dumps({
    "names": {service: name(service) for service in sys.argv[2:]},
    "answers": {f"{address}:{port}": answers(address, port) for address, port in addresses},
    "mlflow": urllib.request.urlopen("http://mlflow:5000/health", timeout=10).read().decode(),
}))
"""


def test_from_inside_a_training_container_only_mlflow_answers(stack: Stack) -> None:
    mlflow = addresses(stack, "mlflow")
    behind = [
        *((address, 5432) for address in addresses(stack, "postgres").values()),
        *((address, 9000) for address in addresses(stack, "store").values()),
        *((address, 2375) for address in addresses(stack, "guard").values()),
    ]
    asked = [json.dumps([*behind, (mlflow["training"], 5000)]), *SERVICES, "guard", "redis"]
    held = attack(stack, "hold")
    try:
        seen = json.loads(stack.docker("exec", held, "python", "-c", INSIDE, *asked))
    finally:
        stack.docker("rm", "--force", held)
    unknown = dict.fromkeys(["postgres", "store", "guard", "redis"])
    assert seen["names"] == {**unknown, "mlflow": mlflow["training"]}
    silent = {f"{address}:{port}": False for address, port in behind}
    assert seen["answers"] == {**silent, f"{mlflow['training']}:5000": True}
    assert seen["mlflow"] == "OK"


def test_mlflow_finds_the_real_postgres_while_a_training_container_runs(stack: Stack) -> None:
    held = attack(stack, "hold")
    find = "import socket; print(socket.gethostbyname_ex('postgres')[2])"
    found = stack.compose("exec", "--no-TTY", "mlflow", "python", "-c", find).stdout
    stack.docker("rm", "--force", held)
    assert found.strip() == str([addresses(stack, "postgres")["database"]])


CURIOUS = """
import socket, struct, threading, psycopg2
server, heard = socket.create_server(("127.0.0.1", 0)), []

def ask_for_the_password():
    connection, _ = server.accept()
    connection.recv(1000)
    connection.sendall(b"R" + struct.pack("!ii", 8, 3))
    heard.append(connection.recv(1000))
    connection.close()

threading.Thread(target=ask_for_the_password, daemon=True).start()
try:
    psycopg2.connect(host="127.0.0.1", port=server.getsockname()[1], user="mlflow",
                     password="seeded", sslmode="disable", gssencmode="disable")
except psycopg2.OperationalError as error:
    print(b"seeded" in b"".join(heard), error)
"""


@pytest.mark.parametrize("service", ["mlflow", "scheduler"])
def test_a_server_that_asks_for_the_databases_password_does_not_get_it(
    stack: Stack,
    service: str,
) -> None:
    run = ["run", "--rm", "--no-deps", "--no-TTY", service, "python", "-c", CURIOUS]
    said = stack.compose(*run).stdout
    assert "False" in said
    assert 'authentication method requirement "scram-sha-256" failed' in said
