"""The addresses behind a GPU stage's buttons, from what MLflow answers, and while MLflow is down."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ghostwriter.mlflow_runs.links import mlflow_urls


class OneRun(BaseHTTPRequestHandler):
    """Answers like MLflow's runs/get."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"run": {"info": {"run_id": "abc", "experiment_id": "7"}}}).encode())

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_each_button_leads_to_its_page() -> None:
    with HTTPServer(("127.0.0.1", 0), OneRun) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        uri = f"http://127.0.0.1:{server.server_port}"
        urls = mlflow_urls(uri, "abc", "lamplight")
        server.shutdown()
        thread.join()
    assert urls == {
        "MLflow run": f"{uri}/#/experiments/7/runs/abc?workflowType=machine_learning",
        "Report": f"{uri}/#/experiments/7/runs/abc/artifacts/report.html?workflowType=machine_learning",
        "Registered model": f"{uri}/#/models/ghostwriter-lamplight",
    }


def test_the_buttons_lead_where_a_browser_finds_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_MLFLOW_URL", "https://mlflow.example.org/")
    assert mlflow_urls("http://127.0.0.1:1", "abc", "lamplight")["Registered model"] == (
        "https://mlflow.example.org/#/models/ghostwriter-lamplight"
    )


def test_while_mlflow_is_down_the_task_does_not_fail_and_the_buttons_lead_to_its_front_page() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        uri = f"http://127.0.0.1:{probe.getsockname()[1]}"
    assert mlflow_urls(uri, "abc", "") == {"MLflow run": uri, "Report": uri}


def test_a_stage_without_a_run_has_no_addresses() -> None:
    assert mlflow_urls("http://127.0.0.1:1", "", "lamplight") == {}
