"""One process runs the services of a home folder, and commands by hand find what it runs."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ghostwriter.__main__ import main
from ghostwriter.embedded.running import FILE, alone, running
from ghostwriter.embedded.services import Service, Supervisor
from ghostwriter.errors import ServiceError

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Commands narrow it, as they may in a process of their own."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def test_a_second_supervisor_is_refused_and_leaves_the_firsts_services_alone(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as first:
        first.start(Service("sleeper", SLEEP))
        with pytest.raises(ServiceError, match=rf"run already \(process {os.getpid()}\).*make stop"), Supervisor(tmp_path):
            pass
        first.check()
        assert running(tmp_path)
    assert running(tmp_path) is None


def test_the_record_of_a_process_that_is_gone_stops_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with subprocess.Popen(SLEEP) as unrelated:
        (tmp_path / FILE).write_text(json.dumps({"pid": unrelated.pid, "born": psutil.Process(unrelated.pid).create_time()}))
        assert main(["down", "--home", str(tmp_path)]) == 0
        assert capsys.readouterr().out == "Nothing runs.\n"
        assert unrelated.poll() is None
        unrelated.kill()


def test_down_ends_the_process_that_runs_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = (
        "import time; from pathlib import Path; from ghostwriter.embedded.running import alone\n"
        f"with alone(Path({str(tmp_path)!r})): print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        assert main(["down", "--home", str(tmp_path)]) == 0
        assert not psutil.pid_exists(holder.pid)
    assert capsys.readouterr().out == "Stopped.\n"


def test_commands_by_hand_find_the_airflow_and_mlflow_that_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    page.write_text("<p>a</p>")
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "airflow.cfg").touch()
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path))
    for name in ("AIRFLOW_HOME", "MLFLOW_TRACKING_URI"):
        monkeypatch.setenv(name, "mine")
    with alone(tmp_path) as tell:
        tell("http://127.0.0.1:8080", "http://127.0.0.1:5000")
        main(["clean", str(page)])
        assert os.environ["MLFLOW_TRACKING_URI"] == "mine"
        for name in ("AIRFLOW_HOME", "MLFLOW_TRACKING_URI"):
            monkeypatch.delenv(name)
        main(["clean", str(page)])
    assert os.environ["AIRFLOW_HOME"] == str(tmp_path / "airflow")
    assert os.environ["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5000"


def test_what_does_not_start_is_told_and_its_log_is_nobody_elses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "up.log").write_text("Airflow  http://old\nCtrl-C stops both.\n")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("AIRFLOW_PORT", str(port := taken.getsockname()[1]))
        assert main(["up", "--detach", "--home", str(tmp_path)]) == 1
    told = capfd.readouterr()
    assert f"Port {port} is taken" in told.err
    assert "http://old" not in told.out + told.err
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in (".", "up.log", FILE)}
    assert modes == {".": 0o700, "up.log": 0o600, FILE: 0o600}
