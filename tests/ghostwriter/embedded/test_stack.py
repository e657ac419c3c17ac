"""`up` with programs in Airflow's and MLflow's place that do nothing but start, answer and end as slowly as they might."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine

from ghostwriter.embedded.services import Supervisor, wait_until
from ghostwriter.embedded.stack import DATABASE, TASKS_AT_ONCE, Ports, Stack
from ghostwriter.home import Home
from tests.e2e.world import free_port

PROGRAM = """#!{python}
import os, signal, sys, time, urllib.error, urllib.request
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

program, name, home = Path(sys.argv[0]).name, sys.argv[1], Path({home!r})


class Fine(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{{"slots": 128}}')

    def do_PATCH(self):
        (home / "patched").write_bytes(self.path.encode() + b" " + self.rfile.read(int(self.headers["Content-Length"])))
        self.do_GET()


def is_healthy(port):
    try:
        return urllib.request.urlopen(f"http://127.0.0.1:{{port}}/health").status == 200
    except urllib.error.URLError:
        return False


def end(*_):
    (home / "scheduler").write_text("ending")
    time.sleep(1.5)
    (home / "scheduler").write_text("ended")
    sys.exit(0)


airflow_port, mlflow_port = int(os.environ["AIRFLOW_PORT"]), int(os.environ["MLFLOW_PORT"])
if name == "db":
    sys.exit(0)
if name == "scheduler":
    signal.signal(signal.SIGTERM, end)
    (home / "scheduler").write_text(f"began, API {{is_healthy(airflow_port)}}, MLflow {{is_healthy(mlflow_port)}}")
if name in ("api-server", "server"):
    time.sleep(0.7)
    HTTPServer(("127.0.0.1", airflow_port if program == "airflow" else mlflow_port), Fine).serve_forever()
while True:
    time.sleep(60)
"""
UP = "import sys; from pathlib import Path; from ghostwriter.embedded import stack; stack.BIN = Path(sys.argv[1]); "
UP += "from ghostwriter.__main__ import main; sys.exit(main(['up', '--home', sys.argv[2]]))"


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["subprocess.Popen[bytes]"]:
    """`up`, all of whose services run."""
    for program in ("airflow", "mlflow"):
        path = tmp_path / "bin" / program
        path.parent.mkdir(exist_ok=True)
        path.write_text(PROGRAM.format(python=sys.executable, home=str(tmp_path)))
        path.chmod(0o755)
    for name in ("AIRFLOW_PORT", "MLFLOW_PORT"):
        monkeypatch.setenv(name, str(free_port()))
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen([sys.executable, "-c", UP, tmp_path / "bin", tmp_path / "home"], stdout=said, stderr=said)
    wait_until(lambda: b"Ctrl-C stops both" in (tmp_path / "said").read_bytes() or process.poll() is not None, 60, "The start")
    wait_until(lambda: (tmp_path / "scheduler").exists() or process.poll() is not None, 20, "The scheduler")
    yield process
    process.terminate()
    process.wait(20)


def test_the_scheduler_starts_when_api_and_mlflow_answer_and_a_second_signal_does_not_cut_the_stopping_off(
    up: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    """It takes up the tasks of before at once, and each that finds no API loses a try. What `up` leaves running holds the ports."""
    scheduler = tmp_path / "scheduler"
    wait_until(lambda: scheduler.read_text() != "", 20, "The scheduler's first words")
    assert scheduler.read_text() == "began, API True, MLflow True"
    path, body = (tmp_path / "patched").read_text().split(" ", 1)
    assert path == "/api/v2/pools/default_pool?update_mask=slots"
    assert json.loads(body)["slots"] == TASKS_AT_ONCE  # else the executor takes more tasks than it has workers, and heeds no priority
    services = psutil.Process(up.pid).children(recursive=True)
    assert len(services) == 5
    up.send_signal(signal.SIGTERM)
    wait_until(lambda: scheduler.read_text() == "ending", 20, "The stopping")
    for second in (signal.SIGTERM, signal.SIGINT):
        up.send_signal(second)
        time.sleep(0.2)
    assert up.wait(20) == 0
    assert scheduler.read_text() == "ended"
    assert [service for service in services if service.is_running()] == []
    assert not (tmp_path / "home" / "services.json").exists()


def test_a_database_of_ones_own_is_that_of_every_component(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DATABASE, "postgresql+psycopg2://airflow@localhost/airflow")
    services = Stack(Home(tmp_path), Ports(), Supervisor(tmp_path / "services")).airflow_services()
    assert [service.name for service in services if DATABASE in service.environment] == []  # it stands in the environment of all


def test_a_locked_database_of_airflows_is_given_up_by_its_api_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests of the API wait for each other until one is given up; the scheduler, which they keep waiting, would end with it."""
    monkeypatch.delenv(DATABASE, raising=False)
    services = Stack(Home(tmp_path), Ports(), Supervisor(tmp_path / "services")).airflow_services()
    assert [service.name for service in services if DATABASE not in service.environment] == ["airflow-api-server"]
    (tmp_path / "airflow").mkdir()
    for url in {service.environment[DATABASE] for service in services[1:]}:
        with create_engine(url).connect() as connection:
            assert connection.exec_driver_sql("PRAGMA busy_timeout").scalar() == 60_000
    assert (tmp_path / "airflow" / "airflow.db").exists()  # where Airflow itself would put it
