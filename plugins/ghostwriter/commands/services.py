"""Airflow's connections and MLflow for commands by hand: those that run, those the environment names, or their own.

Nothing here imports Airflow: it reads where its database is when it is first imported, so that must be said before.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from ghostwriter.embedded.services import Supervisor
from ghostwriter.embedded.stack import Ports, Stack
from ghostwriter.home import Home

READS_CONNECTIONS = {"_AIRFLOW_PROCESS_CONTEXT": "server"}
"""Outside a task Airflow looks for connections in its database only if told so."""


@contextmanager
def services(home: Home) -> Iterator[None]:
    """Airflow's connections and MLflow for the block: what runs, or what the environment names; else MLflow is started for so long."""
    with Supervisor(home.path / "by-hand") as supervisor:
        stack = Stack(home, Ports.from_environment(), supervisor)
        is_named = "MLFLOW_TRACKING_URI" in os.environ
        use_connections(stack)
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        if not is_named:
            supervisor.wait_healthy(stack.start_mlflow())
        yield


def use_connections(stack: Stack) -> None:
    """Let this process read and write the connections of the stack's Airflow, whose database is made if there is none."""
    is_missing = lacks_database(stack)
    for name, value in {**stack.airflow_environment(), **READS_CONNECTIONS}.items():
        os.environ.setdefault(name, value)
    if is_missing:
        print("Making Airflow's database, once (about half a minute) ...", file=sys.stderr, flush=True)
        stack.migrate()


def own_airflow(home: Home) -> None:
    """The same for a home folder, whatever else is at work there; only while the database is made nothing else may be."""
    stack = Stack(home, Ports.from_environment(), Supervisor(home.path / "by-hand"))
    with stack.supervisor if lacks_database(stack) else nullcontext():
        use_connections(stack)


def lacks_database(stack: Stack) -> bool:
    """Whether Airflow's database would be the stack's own and is not there yet."""
    folder = os.environ.get("AIRFLOW_HOME") or stack.airflow_environment()["AIRFLOW_HOME"]
    return "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in os.environ and not (Path(folder) / "airflow.db").exists()
