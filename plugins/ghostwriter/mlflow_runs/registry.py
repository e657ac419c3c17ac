"""What the page reads from MLflow: versions, champion, scores and samples, over HTTP and within a second and a half.

Not through MLflow's client: that takes seconds to import, and retries for longer than anyone looks at an empty page.
"""

import json
import os
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import requests  # imported when something is asked: tasks import this, and each DAG file is parsed without it

Json = dict[str, Any]
SECONDS = 1.5
"""For everything one page asks of MLflow."""
CONNECT_SECONDS = 0.5
UNKNOWN = "RESOURCE_DOES_NOT_EXIST"


class MlflowSilent(Exception):
    """MLflow does not answer, not in time, or not as it should; the message says which, in words for the page."""


class Registry:
    """MLflow's REST API, read only, until a deadline shared by all calls, over one connection. Nothing is asked twice: the parts of a page
    want the same runs."""

    def __init__(self, uri: str, seconds: float = SECONDS) -> None:
        import requests

        self.uri = uri.rstrip("/")
        self._deadline = time.monotonic() + seconds
        self._session = requests.Session()
        self._session.headers.update(_authorization())
        self._told: dict[str, Json | None] = {}

    def model(self, name: str) -> Json | None:
        """A registered model with its tags and aliases; None when there is none of that name."""
        return _part(self._ask("GET", "registered-models/get", params={"name": name}), "registered_model")

    def versions(self, name: str) -> list[Json]:
        """The versions of a registered model, the newest first."""
        found = self._ask("GET", "model-versions/search", params={"filter": f"name = '{name}'", "max_results": 200}) or {}
        return sorted(found.get("model_versions", []), key=lambda version: -int(version["version"]))

    def run(self, run_id: str) -> Json | None:
        """A run; None when there is none."""
        return _part(self._ask("GET", "runs/get", params={"run_id": run_id}), "run")

    def children(self, experiment_id: str, run_id: str) -> list[Json]:
        """The runs right below a run, the newest first."""
        query = {"experiment_ids": [experiment_id], "filter": f"tags.`mlflow.parentRunId` = '{run_id}'", "max_results": 100}
        found = self._ask("POST", "runs/search", json=query) or {}
        return sorted(found.get("runs", []), key=lambda run: -int(run["info"].get("start_time", 0)))

    def runs(self, stem: str, kind: str, number: int, also: str = "") -> list[Json]:
        """The newest runs of a kind (`candidate`: of nights) in a writer's experiment; none when there is no experiment.

        `also` is what else is asked of them, in MLflow's words.
        """
        experiment = _part(self._ask("GET", "experiments/get-by-name", params={"experiment_name": stem}), "experiment")
        if experiment is None:
            return []
        query = {
            "experiment_ids": [experiment["experiment_id"]],
            "filter": " and ".join(filter(None, (f"tags.`ghostwriter.kind` = '{kind}'", also))),
            "order_by": ["attributes.start_time DESC"],
            "max_results": number,
        }
        return list((self._ask("POST", "runs/search", json=query) or {}).get("runs", []))

    def table(self, run_id: str, name: str) -> list[Json]:
        """The rows of a table that was logged to a run; none when it was not."""
        content = self.artifact(run_id, name)
        if content is None:
            return []
        table = json.loads(content)  # as UTF-8; MLflow serves it as plain text without a charset, which requests takes for Latin-1
        return [dict(zip(table["columns"], row, strict=True)) for row in table["data"]]

    def artifact(self, run_id: str, name: str) -> bytes | None:
        """A file that was logged to a run; None when it was not, or is gone. Raises MlflowSilent."""
        answer = self._send("GET", "get-artifact", params={"run_id": run_id, "path": name})
        return answer.content if answer.status_code < 400 else None

    def _ask(self, method: str, path: str, **arguments: Any) -> Json | None:
        asked = json.dumps([method, path, arguments])
        if asked not in self._told:
            self._told[asked] = self._fetch(method, path, **arguments)
        return self._told[asked]

    def _fetch(self, method: str, path: str, **arguments: Any) -> Json | None:
        answer = self._send(method, f"api/2.0/mlflow/{path}", **arguments)
        if answer.status_code == 404 and UNKNOWN in answer.text:
            return None
        if answer.status_code >= 400:
            raise MlflowSilent(f"MLflow at {self.uri} answered {answer.status_code}.")
        try:
            body: Json = answer.json()
        except ValueError:
            raise MlflowSilent(f"What answers at {self.uri} is not MLflow.") from None
        return body

    def _send(self, method: str, path: str, **arguments: Any) -> "requests.Response":
        import requests

        left = self._deadline - time.monotonic()
        if left <= 0:
            raise MlflowSilent(f"MLflow at {self.uri} is too slow.")
        try:
            return self._session.request(
                method,
                f"{self.uri}/{path}",
                timeout=(min(CONNECT_SECONDS, left), left),
                allow_redirects=False,
                **arguments,
            )
        except requests.Timeout:
            raise MlflowSilent(f"MLflow at {self.uri} does not answer in time.") from None
        except requests.RequestException as error:
            raise MlflowSilent(f"MLflow at {self.uri} cannot be reached ({type(error).__name__}).") from None


def _part(answer: Json | None, name: str) -> Json | None:
    return answer[name] if answer else None


def _authorization() -> dict[str, str]:
    """The header MLflow's own client would send."""
    user, password = os.environ.get("MLFLOW_TRACKING_USERNAME"), os.environ.get("MLFLOW_TRACKING_PASSWORD")
    if user and password:
        import requests

        request = requests.Request("GET", "http://mlflow", auth=(user, password)).prepare()
        return {"Authorization": str(request.headers["Authorization"])}
    token = os.environ.get("MLFLOW_TRACKING_TOKEN")
    return {"Authorization": f"Bearer {token}"} if token else {}


def named(pairs: list[Json]) -> dict[str, Any]:
    """MLflow's lists of `key` and `value` as a dict."""
    return {pair["key"]: pair["value"] for pair in pairs}
