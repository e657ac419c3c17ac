"""`make secrets`: write a new random secret for each part of the stack into secrets/, as the files compose hands out.

Nothing is overwritten: databases keep the passwords they were made with. The folder is closed to everyone but its owner; the
files in it are readable, because each container reads its own under another user.
"""

import argparse
import base64
import json
import secrets
import sys
from pathlib import Path

ROLES = ("airflow", "ghostwriter", "mlflow")
DATABASES = {"airflow": "airflow", "ghostwriter": "ghostwriter", "mlflow": "mlflow", "mlflow_auth": "mlflow"}
"""Database to its owner."""
PIPELINE = "ghostwriter"
"""The account of Airflow's tasks and of training containers in MLflow; people log in as `admin`."""


def new_secrets() -> dict[str, str]:
    """File name to content."""
    role = {name: secrets.token_hex(24) for name in ROLES}
    login, pipeline, redis, store = (secrets.token_urlsafe(18) for _ in range(4))
    sql = [f"CREATE ROLE {name} LOGIN PASSWORD '{password}';" for name, password in role.items()]
    sql += [f"CREATE DATABASE {name} OWNER {owner};" for name, owner in DATABASES.items()]
    key = {"accessKey": PIPELINE, "secretKey": store}
    return {
        "postgres_password": secrets.token_hex(24),
        "databases.sql": "\n".join(sql) + "\n",
        "airflow_pgpass": _pgpass(role, "airflow", "ghostwriter"),
        "mlflow_pgpass": _pgpass(role, "mlflow"),
        "airflow_passwords.json": json.dumps({"admin": login}) + "\n",
        "fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "api_secret_key": secrets.token_urlsafe(48),
        "jwt_secret": secrets.token_urlsafe(64),
        "mlflow_auth.ini": (
            "[mlflow]\ndefault_permission = EDIT\ndatabase_uri = postgresql+psycopg2://mlflow@postgres/mlflow_auth\n"
            f"admin_username = admin\nadmin_password = {login}\n"
            "auth_cache_ttl_seconds = 60\n"  # else every call of a client costs a slow hash of its password
        ),
        "mlflow_admin_netrc": f"machine mlflow login admin password {login}\n",
        "mlflow_netrc": f"machine mlflow login {PIPELINE} password {pipeline}\n",
        "redis.conf": f"requirepass {redis}\n",
        "broker_url": f"redis://:{redis}@redis:6379/0",
        "store.json": json.dumps({"identities": [{"name": PIPELINE, "credentials": [key], "actions": ["Admin"]}]}) + "\n",
        "store_credentials": f"[default]\naws_access_key_id = {PIPELINE}\naws_secret_access_key = {store}\n",
    }


def _pgpass(role: dict[str, str], *names: str) -> str:
    return "".join(f"postgres:5432:*:{name}:{role[name]}\n" for name in names)


def write(folder: Path) -> None:
    """Write all files into a new folder. Exits when it exists."""
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        sys.exit(
            f"{folder}/ exists; its secrets are kept, because the databases were made with them."
            " For a new installation remove it together with the volumes: docker compose down --volumes."
        )
    for name, content in new_secrets().items():
        path = folder / name
        path.write_text(content)
        path.chmod(0o644)
    print(f"Wrote {folder}/. Log in to Airflow and MLflow as admin; the password stands in {folder}/airflow_passwords.json.")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("secrets"))
    write(parser.parse_args().folder)
