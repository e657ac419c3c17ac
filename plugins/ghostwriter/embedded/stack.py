"""The embedded stack: Airflow's four components and an MLflow server, on SQLite, on 127.0.0.1, state in the home folder."""

import json
import os
import secrets
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from ghostwriter.embedded.mlflow_upgrade import upgrade
from ghostwriter.embedded.services import Service, Supervisor, require_free_ports
from ghostwriter.errors import ServiceError
from ghostwriter.home import ROOT, Home

HOST = "127.0.0.1"
BIN = Path(sys.executable).parent
COMPONENTS = ("api-server", "dag-processor", "triggerer", "scheduler")
"""Of Airflow, in the order they start."""
TASKS_AT_ONCE, GPU_TASKS_AT_ONCE, TEACHER_TASKS_AT_ONCE = 4, 1, 2
"""Slots of Airflow's default pool and of the two others, together as many as there are workers. Airflow 3.3's LocalExecutor takes all the
tasks that pools let through, and works on them in the order they came: one that waits there would be passed by none that is furthest."""
AIRFLOWS_OWN_SLOTS = 128
"""Of the default pool, until somebody says otherwise."""
WORKERS = TASKS_AT_ONCE + GPU_TASKS_AT_ONCE + TEACHER_TASKS_AT_ONCE
DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
COLLECTOR = "OTEL_EXPORTER_OTLP_ENDPOINT"
TELEMETRY = {
    "AIRFLOW__TRACES__OTEL_ON": "True",
    "AIRFLOW__METRICS__OTEL_ON": "True",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_TRACES_EXPORTER": "otlp_proto_http",  # Airflow's default speaks gRPC, whatever the protocol says
    "OTEL_SERVICE_NAME": "ghostwriter",
    "MLFLOW_ENABLE_OTLP_EXPORTER": "false",  # MLflow reads the same address, and would send its traces there instead of keeping them
}
"""What sends Airflow's traces and metrics to COLLECTOR, where that is set; docker/entrypoint.sh sets the same."""
OWN_CHOICE = ("AIRFLOW__CORE__PARALLELISM", "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT")
"""Settings of Airflow's that count as they stand in the environment of `up`: how many tasks at once, how soon a silent one is given up."""


@dataclass(frozen=True)
class Ports:
    """Where the two user interfaces listen; set by AIRFLOW_PORT and MLFLOW_PORT."""

    airflow: int = 8080
    mlflow: int = 5000

    @classmethod
    def from_environment(cls) -> "Ports":
        """The ports the environment asks for, else the defaults."""
        return cls(int(os.environ.get("AIRFLOW_PORT", "8080")), int(os.environ.get("MLFLOW_PORT", "5000")))


class Stack:
    """Airflow and MLflow under one supervisor. `start` returns once both are healthy."""

    def __init__(self, home: Home, ports: Ports, supervisor: Supervisor) -> None:
        self.home, self.ports, self.supervisor = home, ports, supervisor
        self.airflow_url = f"http://{HOST}:{ports.airflow}"
        self.mlflow_url = f"http://{HOST}:{ports.mlflow}"

    def start(self) -> None:
        """Migrate Airflow's database, start everything, wait until it is healthy.

        The scheduler comes last: it takes up the tasks of before at once, and each asks the API server or loses a try.
        """
        require_free_ports({"AIRFLOW_PORT": self.ports.airflow, "MLFLOW_PORT": self.ports.mlflow})
        mlflow = self.start_mlflow()
        self.migrate()
        *others, scheduler = self.airflow_services()
        for service in others:
            self.supervisor.start(service)
        for service in (mlflow, *others):
            self.supervisor.wait_healthy(service)
        self.supervisor.start(scheduler)

    def start_mlflow(self) -> Service:
        """Start MLflow alone, its database brought up to date; wait until it is healthy before it is used."""
        require_free_ports({"MLFLOW_PORT": self.ports.mlflow})
        service = self.mlflow_service()
        upgrade(self.home.path / "mlflow" / "mlflow.db", BIN / "mlflow", self.supervisor.log("mlflow-db-upgrade"))
        self.supervisor.start(service)
        return service

    def password(self) -> str:
        """The password of Airflow's user `admin`, made once and kept in a file only its owner can read."""
        path = self._passwords_file()
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                json.dump({"admin": secrets.token_urlsafe(12)}, file)
        password: str = json.loads(path.read_text())["admin"]
        return password

    def airflow_environment(self) -> dict[str, str]:
        """Airflow's settings as environment variables; each line that is not obvious says why."""
        self.password()
        settings = {
            "AIRFLOW_HOME": str(self.home.path / "airflow"),
            "GHOSTWRITER_HOME": str(self.home.path),
            "MLFLOW_TRACKING_URI": self.mlflow_url,
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the default of 7 blocks a worker slot for minutes when MLflow is down
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",  # ghostwriter.provider keeps secrets from addresses nobody has confirmed
            "AIRFLOW__CORE__PARALLELISM": str(WORKERS),  # the default forks 32 idle ones
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords_file()),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.airflow_url}/execution/",
            "AIRFLOW__API__HOST": HOST,  # the default listens on every address
            "AIRFLOW__API__PORT": str(self.ports.airflow),
            "AIRFLOW__API__BASE_URL": self.airflow_url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__EXPOSE_CONFIG": "False",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",  # a new writer file is seen after seconds, not minutes
            "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",  # a task that is marked failed hears of it, and stops spending, after a second
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",  # a killed machine's tasks are picked up after a minute
        }
        settings |= {name: os.environ[name] for name in OWN_CHOICE if name in os.environ}
        return settings | (TELEMETRY if os.environ.get(COLLECTOR) else {})

    def airflow_services(self) -> list[Service]:
        """The four components; the API server's health page stands for all of them.

        Its requests wait for each other in SQLite until one is given up after five seconds, as Airflow 3.3 writes its log of actions on the
        loop that ends the others. The rest of Airflow waits for longer than that, or the scheduler would fall over it.
        """
        environment = self.airflow_environment()
        patient = {DATABASE: f"sqlite:///{self.home.path / 'airflow' / 'airflow.db'}?timeout=60"}
        patient = environment | ({} if DATABASE in os.environ else patient)  # who chose another database has it in all of them
        health = f"{self.airflow_url}/api/v2/monitor/health"
        api, *others = (Service(f"airflow-{name}", [BIN / "airflow", name], patient) for name in COMPONENTS)
        return [replace(api, environment=environment, health_url=health, stops_last=True), *others]

    def mlflow_service(self) -> Service:
        """The tracking server: one worker, no job processes (they cost 1.2 GiB), artifacts served by itself."""
        folder = self.home.path / "mlflow"
        folder.mkdir(parents=True, exist_ok=True)
        command: list[str | Path] = [BIN / "mlflow", "server", "--host", HOST, "--port", str(self.ports.mlflow), "--workers", "1"]
        command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts")]
        environment = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "GIT_PYTHON_REFRESH": "quiet"}
        return Service("mlflow", command, environment, folder=folder, health_url=f"{self.mlflow_url}/health", stops_last=True)

    def migrate(self) -> None:
        """Before anything else of Airflow: the first command also writes the secret keys all components share."""
        with self.supervisor.log("airflow-db-migrate").open("wb") as log:
            status = subprocess.run(
                [BIN / "airflow", "db", "migrate"],
                env={**os.environ, **self.airflow_environment()},
                stdout=log,
                stderr=log,
                umask=0o077,
                check=False,
            )
        if status.returncode:
            raise ServiceError(f"Airflow's database could not be migrated; {self.supervisor.log('airflow-db-migrate')} says why.")

    def _passwords_file(self) -> Path:
        return self.home.path / "airflow-passwords.json"
