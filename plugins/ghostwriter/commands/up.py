"""`up` and `down`: Airflow and MLflow on this machine, for your own writers."""

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from ghostwriter.commands.options import home_of
from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.embedded.running import Running, running
from ghostwriter.embedded.services import Supervisor
from ghostwriter.embedded.stack import AIRFLOWS_OWN_SLOTS, GPU_TASKS_AT_ONCE, TASKS_AT_ONCE, TEACHER_TASKS_AT_ONCE, Ports, Stack
from ghostwriter.home import Home

LOG = "up.log"
LOOK_SECONDS = 0.5
END_SECONDS = 180
STOPPING = (signal.SIGTERM, signal.SIGINT)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `up` and `down`."""
    parser = commands.add_parser("up", help="run Airflow and MLflow on this machine until Ctrl-C")
    parser.add_argument("--detach", action="store_true", help="in the background; returns once both are healthy")
    parser.set_defaults(run=run)
    stop = commands.add_parser("down", help="stop what `up` runs")
    stop.set_defaults(run=run_down)
    for each in (parser, stop):
        each.add_argument("--home", type=Path, help="folder of all state (default: var/, or GHOSTWRITER_HOME)")


def run(arguments: argparse.Namespace) -> int:
    """Start the stack, say where it is, and stay until Ctrl-C or SIGTERM."""
    home = home_of(arguments)
    os.umask(0o077)
    home.check_space()
    home.path.chmod(0o700)  # it may be of an earlier version, which left it to the umask
    if arguments.detach:
        return _detach(home)
    stop_on_signals()
    with Supervisor(home.path) as supervisor:
        stack = Stack(home, Ports.from_environment(), supervisor)
        print("Starting Airflow and MLflow (about half a minute) ...", flush=True)
        try:
            stack.start()
            make_pools(AirflowApi(stack.airflow_url, stack.password()))
            supervisor.tell(stack.airflow_url, stack.mlflow_url)
            print(f"{_where(home, stack.airflow_url, stack.mlflow_url)}\nCtrl-C stops both.", flush=True)
            while True:
                supervisor.check()
                time.sleep(LOOK_SECONDS)
        except KeyboardInterrupt:
            print("Stopping: a training may take a minute to its checkpoint ...", flush=True)
    return 0


def run_down(arguments: argparse.Namespace) -> int:
    """End the process that runs the services, if there is one, and wait until it has stopped them."""
    found = running(home_of(arguments).path)
    process = found.process() if found else None
    if process is None:
        print("Nothing runs.")
        return 0
    process.terminate()
    process.wait(END_SECONDS)
    print("Stopped.")
    return 0


def make_pools(api: AirflowApi) -> None:
    """The pools the DAGs name, and the default pool at the size that the workers have; what a person changed stays."""
    api.put_pool("gpu", GPU_TASKS_AT_ONCE, "Training and evaluation: one at a time, over all writers")
    api.put_pool("teacher", TEACHER_TASKS_AT_ONCE, "Distillation: runs that call a teacher")
    api.resize_pool("default_pool", AIRFLOWS_OWN_SLOTS, TASKS_AT_ONCE)


def stop_on_signals() -> None:
    """Let SIGTERM end a program the way Ctrl-C does; a second of either would cut the stopping off half way, and is ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in STOPPING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    for number in STOPPING:
        signal.signal(number, interrupt)


def _detach(home: Home) -> int:
    """Start `up` in a session of its own, its words in `up.log`, and wait until it is healthy or has ended."""
    if found := running(home.path):
        print("They run already." if found.airflow else "They are being started already.")
        return _healthy(home, found) if found.airflow else 0
    log = home.path / LOG
    print("Starting Airflow and MLflow (about half a minute) ...", flush=True)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as words:
        os.fchmod(words.fileno(), 0o600)
        command = [sys.executable, "-m", "ghostwriter", "up", "--home", str(home.path)]
        started = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=words, stderr=words, start_new_session=True)
    while started.poll() is None:
        found = running(home.path)
        if found and found.pid == started.pid and found.airflow:
            return _healthy(home, found)
        time.sleep(LOOK_SECONDS)
    print(log.read_text(errors="replace").strip(), file=sys.stderr)
    return started.returncode or 1


def _healthy(home: Home, found: Running) -> int:
    print(f"{_where(home, str(found.airflow), str(found.mlflow))}\nmake stop stops both.")
    return 0


def _where(home: Home, airflow: str, mlflow: str) -> str:
    password = Stack(home, Ports(), Supervisor(home.path)).password()
    return f"Airflow  {airflow}  (user admin, password {password})\nMLflow   {mlflow}"
