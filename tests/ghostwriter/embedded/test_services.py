"""The supervisor, on real processes."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ghostwriter.embedded.services import Service, Supervisor, require_free_ports, stop_leftovers
from ghostwriter.errors import ServiceError

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
STUBBORN_PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']); time.sleep(60)"


def group(leader: int) -> list[psutil.Process]:
    """The processes of a group that still run; one that ends while it is looked at is none."""
    return [process for process in psutil.process_iter() if _runs_in(process, leader)]


def _runs_in(process: psutil.Process, leader: int) -> bool:
    try:
        return os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def test_leaving_the_supervisor_stops_a_service_and_its_children(tmp_path: Path) -> None:
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(Service("parent", [sys.executable, "-c", STUBBORN_PARENT]))
        leader = supervisor._running["parent"].pid
        while len(group(leader)) < 2:
            time.sleep(0.05)
    psutil.wait_procs(group(leader), timeout=5)  # killed, and perhaps not yet gone
    assert group(leader) == []
    assert not (tmp_path / "services.json").exists()


def test_stopping_ends_what_has_a_group_of_its_own_and_first_those_that_report_to_another(tmp_path: Path) -> None:
    """As Airflow does it: a worker hands SIGTERM on to its task, which is in a group of its own, and the task still needs the API."""
    order, task = tmp_path / "order", tmp_path / "task"
    last_words = "signal.signal(signal.SIGTERM, lambda *_: (open({!r}, 'a').write({!r}), sys.exit(0)))"
    imports = "import os, signal, subprocess, sys, time"
    api = f"{imports}\n{last_words.format(str(order), 'api ')}\nprint('up', flush=True)\ntime.sleep(60)"
    child = f"{imports}\nopen({str(task)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)"
    worker = (
        f"{imports}\nsubprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)\n"
        f"{last_words.format(str(order), 'worker ')}\nprint('up', flush=True)\ntime.sleep(60)"
    )
    with Supervisor(tmp_path, stop_seconds=2) as supervisor:
        supervisor.start(Service("api", [sys.executable, "-c", api], stops_last=True))
        supervisor.start(Service("worker", [sys.executable, "-c", worker]))
        while not task.exists() or not all(supervisor.log(name).read_text() for name in ("api", "worker")):
            time.sleep(0.05)
        orphan = psutil.Process(int(task.read_text()))
    psutil.wait_procs([orphan], timeout=5)
    assert not orphan.is_running()
    assert order.read_text() == "worker api "


def test_a_service_that_ends_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Service("broken", [sys.executable, "-c", "print('no such option'); raise SystemExit(3)"], health_url="http://127.0.0.1:9/")
    with Supervisor(tmp_path) as supervisor:
        supervisor.start(broken)
        with pytest.raises(ServiceError, match=r"broken ended by itself \(exit status 3\)[\s\S]*no such option"):
            supervisor.wait_healthy(broken)


def test_what_a_killed_supervisor_left_is_stopped_by_the_next(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from ghostwriter.embedded.services import Service, Supervisor\n"
        f"with Supervisor(Path({str(tmp_path)!r})) as s: s.start(Service('left', {SLEEP!r})); "
        "print(s._running['left'].pid, flush=True); time.sleep(60)"
    )
    killed = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert killed.stdout
    left = int(killed.stdout.readline())
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    killed.stdout.close()
    assert psutil.pid_exists(left)
    assert stop_leftovers(tmp_path / "services.json") == ["left"]
    deadline = time.monotonic() + 5
    while psutil.pid_exists(left) and psutil.Process(left).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert stop_leftovers(tmp_path / "services.json") == []


def test_a_taken_port_is_named_with_the_setting_that_moves_it() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ServiceError, match=f"Port {port} is taken .* choose another: AIRFLOW_PORT={port + 10}"):
            require_free_ports({"AIRFLOW_PORT": port})
