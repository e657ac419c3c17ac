"""`up`: Airflow and MLflow on this machine, for your own writers, until Ctrl-C."""

import argparse
import signal
import time
from pathlib import Path
from types import FrameType

from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.embedded.services import Supervisor
from ghostwriter.embedded.stack import Ports, Stack
from ghostwriter.home import Home

GPU_POOL_SLOTS = 1
TEACHER_POOL_SLOTS = 2


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `up`."""
    parser = commands.add_parser("up", help="run Airflow and MLflow on this machine until Ctrl-C")
    parser.add_argument("--home", type=Path, help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Start the stack, say where it is, and stay until Ctrl-C or SIGTERM."""
    home = Home(arguments.home.resolve()) if arguments.home else Home.default()
    home.check_space()
    signal.signal(signal.SIGTERM, interrupt)
    with Supervisor(home.path) as supervisor:
        stack = Stack(home, Ports.from_environment(), supervisor)
        print("Starting Airflow and MLflow (about half a minute) ...", flush=True)
        try:
            stack.start()
            make_pools(AirflowApi(stack.airflow_url, stack.password()))
            print(
                f"Airflow  {stack.airflow_url}  (user admin, password {stack.password()})\nMLflow   {stack.mlflow_url}\nCtrl-C stops both.",
                flush=True,
            )
            while True:
                supervisor.check()
                time.sleep(2)
        except KeyboardInterrupt:
            print("Stopping ...", flush=True)
    return 0


def make_pools(api: AirflowApi) -> None:
    """The pools the DAGs name; Airflow makes none by itself."""
    api.put_pool("gpu", GPU_POOL_SLOTS, "Training and evaluation: one at a time, over all writers")
    api.put_pool("teacher", TEACHER_POOL_SLOTS, "Distillation: runs that call a teacher")


def interrupt(_number: int, _frame: FrameType | None) -> None:
    """Let SIGTERM end a program the way Ctrl-C does."""
    raise KeyboardInterrupt
