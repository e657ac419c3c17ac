"""`migrate`: bring the databases of a compose installation up to date, make Airflow's pools and MLflow's account of the pipeline."""

import argparse
import netrc
import os
import shutil
import subprocess
import time
from pathlib import Path

import requests

from ghostwriter.database import open_database
from ghostwriter.embedded.stack import AIRFLOWS_OWN_SLOTS, GPU_TASKS_AT_ONCE, TASKS_AT_ONCE, TEACHER_TASKS_AT_ONCE
from ghostwriter.errors import ServiceError
from ghostwriter.home import Home
from ghostwriter.launchers.container import NETRC_FOLDER
from ghostwriter.mlflow_runs.server import tracking_uri
from training.network import DEFAULT_FILE

SECRETS = Path("/run/secrets")
MLFLOW_SECONDS = 30
MLFLOW_START_SECONDS = 180
"""How long MLflow may take to come up beside this; it brings its own database up to date first."""
OTHER_SECRETS = (
    "secrets/ is not the folder these volumes were made with. Put that folder back; or start anew: docker compose down --volumes."
)


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `migrate`."""
    parser = commands.add_parser("migrate", help="bring the databases of docker-compose.yaml up to date (compose runs this itself)")
    parser.set_defaults(run=run)


def run(_arguments: argparse.Namespace) -> int:
    """Do it all; running it again changes nothing."""
    home = Home.default()
    home.check_space()
    check_database(home.database_url)
    migrate_airflow()
    make_account(tracking_uri(), SECRETS / "mlflow_admin_netrc", SECRETS / "mlflow_netrc")
    give_to_training(SECRETS, Path(NETRC_FOLDER))
    print("Databases, pools and accounts are ready.", flush=True)
    return 0


def give_to_training(secrets: Path, folder: Path) -> None:
    """What training containers read: MLflow's login, and the hub's token or the proxy's login, if there is one."""
    shutil.copyfile(secrets / "mlflow_netrc", folder / "netrc")
    given, kept = secrets / DEFAULT_FILE.name, folder / DEFAULT_FILE.name
    if text := given.read_bytes() if given.exists() else b"":
        kept.write_bytes(text)
    else:
        kept.unlink(missing_ok=True)


def check_database(url: str) -> None:
    """Make the tables of archive and ledger. Raises ServiceError when Postgres cannot be used."""
    from sqlalchemy.exc import OperationalError

    try:
        open_database(url).dispose()
    except OperationalError as error:
        words = str(error.orig).strip()
        raise ServiceError(f"Postgres refused: {words} {OTHER_SECRETS if 'authentication' in words else ''}".strip()) from None


def migrate_airflow() -> None:
    """Upgrade Airflow's database and make the pools. Raises ServiceError."""
    print("Bringing Airflow's database up to date ...", flush=True)
    done = subprocess.run(["airflow", "db", "migrate"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceError(
            "Airflow's database could not be brought up to date. If it is of a newer Airflow than this image, use the newer image"
            f" or restore a backup. The last lines:\n{(done.stdout + done.stderr)[-2000:]}"
        )
    from airflow.configuration import conf
    from airflow.models import Pool

    existing = {pool.pool: pool.slots for pool in Pool.get_pools()}
    for name, slots, description in (
        ("gpu", GPU_TASKS_AT_ONCE, "Training and evaluation: one at a time, over all writers"),
        ("teacher", TEACHER_TASKS_AT_ONCE, "Distillation: runs that call a teacher"),
    ):
        if name not in existing:
            Pool.create_or_update_pool(name, slots, description, include_deferred=name == "gpu")  # a deferred stage has its GPU
    if conf.get("core", "executor") == "LocalExecutor" and existing.get(Pool.DEFAULT_POOL_NAME) == AIRFLOWS_OWN_SLOTS:
        Pool.create_or_update_pool(Pool.DEFAULT_POOL_NAME, TASKS_AT_ONCE, "Default pool", include_deferred=False)


def make_account(uri: str, admin_file: Path, pipeline_file: Path) -> None:
    """Make the account in `pipeline_file` unless it can log in already. Raises ServiceError."""
    admin, pipeline = _login(admin_file), _login(pipeline_file)
    _wait_for_mlflow(uri)
    if _ask(uri, "GET", "experiments/get", pipeline, params={"experiment_id": "0"}).status_code == 200:
        return
    answer = _ask(uri, "POST", "users/create", admin, json={"username": pipeline[0], "password": pipeline[1]})
    if answer.status_code != 200:
        raise ServiceError(f"MLflow refused to make the account {pipeline[0]!r} ({answer.status_code}). {OTHER_SECRETS}")


def _wait_for_mlflow(uri: str) -> None:
    deadline = time.monotonic() + MLFLOW_START_SECONDS
    while True:
        try:
            requests.get(f"{uri}/health", timeout=MLFLOW_SECONDS)
            return
        except requests.RequestException as error:
            if time.monotonic() > deadline:
                raise ServiceError(
                    f"MLflow at {uri} does not answer ({type(error).__name__}). `docker compose logs mlflow` says why."
                ) from None
        time.sleep(1)


def _ask(uri: str, method: str, path: str, login: tuple[str, str], **arguments: object) -> requests.Response:
    return requests.request(method, f"{uri}/api/2.0/mlflow/{path}", auth=login, timeout=MLFLOW_SECONDS, **arguments)  # type: ignore[arg-type]


def _login(path: Path) -> tuple[str, str]:
    """User and password for the host `mlflow`. Raises ServiceError."""
    try:
        found = netrc.netrc(os.fspath(path)).authenticators("mlflow")
    except (OSError, netrc.NetrcParseError) as error:
        raise ServiceError(f"{path} cannot be read ({error}). Make the secrets with `make secrets`.") from None
    if not found or not found[2]:
        raise ServiceError(f"{path} has no login for the machine mlflow.")
    return found[0], found[2]
