"""A thin client of Airflow's REST API: what the demo and the tests need to trigger, follow and explain runs."""

import time
from collections.abc import Mapping
from typing import Any

import requests

from ghostwriter.errors import ServiceError

FINISHED = ("success", "failed")
RETRIES, TAKEN_BACK = 3, '"reason":"Database error"'
"""What Airflow answers when SQLite was locked for too long; nothing of the request is done then."""
Json = dict[str, Any]


class AirflowApi:
    """Speaks to one Airflow as its user `admin`. Raises ServiceError with Airflow's own words on a refusal."""

    def __init__(self, url: str, password: str) -> None:
        self.url = url
        self.password = password
        self._session = requests.Session()

    def login(self) -> None:
        """Fetch a token; called again by itself when the token has expired."""
        answer = self._session.post(f"{self.url}/auth/token", json={"username": "admin", "password": self.password}, timeout=30)
        if answer.status_code >= 400:
            raise ServiceError(f"Airflow at {self.url} refused the password of admin ({answer.status_code}).")
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def get(self, path: str, **parameters: object) -> Json:
        """GET /api/v2/PATH."""
        return self._call("GET", path, params=parameters)

    def patch(self, path: str, body: Json) -> Json:
        """PATCH /api/v2/PATH."""
        return self._call("PATCH", path, json=body)

    def post(self, path: str, body: Json) -> Json:
        """POST /api/v2/PATH."""
        return self._call("POST", path, json=body)

    def delete(self, path: str) -> None:
        """DELETE /api/v2/PATH."""
        self._call("DELETE", path)

    def put_connection(self, connection_id: str, kind: str, host: str, password: str, **more: object) -> None:
        """Create a connection, or bring an existing one up to date; `more` are further fields, as the API names them."""
        body = {"connection_id": connection_id, "conn_type": kind, "host": host, "password": password, **more}
        if self._exists(f"connections/{connection_id}"):
            self._call("PATCH", f"connections/{connection_id}", json=body)
        else:
            self._call("POST", "connections", json=body)

    def put_pool(self, name: str, slots: int, description: str) -> None:
        """Create a pool when there is none of that name."""
        if not self._exists(f"pools/{name}"):
            self._call("POST", "pools", json={"name": name, "slots": slots, "description": description, "include_deferred": False})

    def resize_pool(self, name: str, before: int, slots: int) -> None:
        """Give a pool that still has `before` slots another number of them."""
        if self.get(f"pools/{name}")["slots"] == before:
            body = {"pool": name, "slots": slots, "include_deferred": False}  # Airflow wants it whole, and takes what the mask names
            self._call("PATCH", f"pools/{name}", params={"update_mask": "slots"}, json=body)

    def unpause(self, dag_id: str) -> None:
        """Let a DAG run."""
        self._call("PATCH", f"dags/{dag_id}", json={"is_paused": False})

    def pause(self, dag_id: str) -> None:
        """Let a DAG start no new run."""
        self._call("PATCH", f"dags/{dag_id}", json={"is_paused": True})

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow has parsed the DAG yet."""
        return self._exists(f"dags/{dag_id}")

    def import_errors(self) -> list[Json]:
        """What went wrong when DAG files were parsed."""
        errors: list[Json] = self.get("importErrors")["import_errors"]
        return errors

    def trigger(self, dag_id: str, conf: Mapping[str, object] | None = None) -> str:
        """Start a run; returns its id."""
        run = self._call("POST", f"dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": dict(conf or {})})
        return str(run["dag_run_id"])

    def run(self, dag_id: str, run_id: str) -> Json:
        """One run: `state`, `start_date`, `end_date` and more."""
        return self.get(f"dags/{dag_id}/dagRuns/{run_id}")

    def runs(self, dag_id: str) -> list[Json]:
        """The latest runs of a DAG, newest first."""
        runs: list[Json] = self.get(f"dags/{dag_id}/dagRuns", order_by="-run_after", limit=20)["dag_runs"]
        return runs

    def tasks(self, dag_id: str, run_id: str) -> list[Json]:
        """The task instances of a run."""
        instances: list[Json] = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return instances

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """What a task returned."""
        return self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}", deserialize=True)["value"]

    def log_lines(self, dag_id: str, run_id: str, task_id: str, attempt: int) -> list[str]:
        """The log of one attempt of a task, a line each; a failure's line carries its exception."""
        content = self.get(f"dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/logs/{attempt}")["content"]
        return [text for line in content if (text := _log_text(line))]

    def wait_finished(self, dag_id: str, run_id: str, seconds: float) -> str:
        """The final state of a run. Raises ServiceError when it has none in time."""
        deadline = time.monotonic() + seconds
        while (state := str(self.run(dag_id, run_id)["state"])) not in FINISHED:
            if time.monotonic() > deadline:
                raise ServiceError(f"{dag_id} run {run_id} is still {state} after {seconds:.0f} s.")
            time.sleep(1)
        return state

    def _exists(self, path: str) -> bool:
        return self._send("GET", path).status_code == 200

    def _call(self, method: str, path: str, **arguments: Any) -> Json:
        answer = self._send(method, path, **arguments)
        if answer.status_code >= 400:
            raise ServiceError(f"Airflow answered {answer.status_code} to {method} {path}: {answer.text[:500]}")
        body: Json = answer.json() if answer.content else {}
        return body

    def _send(self, method: str, path: str, **arguments: Any) -> requests.Response:
        url = f"{self.url}/api/v2/{path}"
        answer = self._session.request(method, url, timeout=60, **arguments)
        if answer.status_code == 401:
            self.login()
            answer = self._session.request(method, url, timeout=60, **arguments)
        for _ in range(RETRIES):
            if answer.status_code != 500 or TAKEN_BACK not in answer.text:
                break
            answer = self._session.request(method, url, timeout=60, **arguments)
        return answer


def _log_text(line: Any) -> str:
    if not isinstance(line, dict):
        return str(line)
    event = str(line.get("event", ""))
    causes = [f"{cause.get('exc_type')}: {cause.get('exc_value')}" for cause in line.get("error_detail") or []]
    return "" if event.startswith("::") else " ".join([event, *causes])
