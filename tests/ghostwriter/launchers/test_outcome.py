"""What a finished stage took reaches a real collector, over OTLP, as Airflow's task process sends it; MLflow's traces do not go there."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ghostwriter.embedded.stack import COLLECTOR, TELEMETRY

TASK = """
import airflow.settings
from airflow.sdk._shared.observability.metrics import stats
from airflow.sdk.observability.metrics import stats_utils
from mlflow.tracing.utils.otlp import should_use_otlp_exporter
from opentelemetry import trace

from ghostwriter.launchers.outcome import measure

airflow.settings.initialize()
stats.initialize(factory=stats_utils.get_stats_factory(), export_legacy_names=False)  # as airflow.sdk.execution_time.task_runner
with trace.get_tracer("task").start_as_current_span("task_run.train"):
    measure("train", "lamplight", {"seconds": 61.5, "tokens": 1200, "run_id": None})
    measure("measure", "lamplight", {"run_id": None})
getattr(trace.get_tracer_provider(), "force_flush", bool)()  # there is none where it is off
print("MLflow:", should_use_otlp_exporter())
"""


@dataclass
class Collector:
    """An OTLP/HTTP receiver that keeps what it was sent, by path."""

    url: str
    bodies: dict[str, list[bytes]] = field(default_factory=dict)

    def gauges(self) -> dict[str, tuple[float, dict[str, str]]]:
        requests = [ExportMetricsServiceRequest.FromString(body) for body in self.bodies.get("/v1/metrics", [])]
        metrics = [each for one in requests for group in one.resource_metrics for scope in group.scope_metrics for each in scope.metrics]
        points = [(each.name, point) for each in metrics for point in each.gauge.data_points]
        return {
            name: (point.as_double or point.as_int, {each.key: each.value.string_value for each in point.attributes})
            for name, point in points
        }

    def spans(self) -> list[str]:
        requests = [ExportTraceServiceRequest.FromString(body) for body in self.bodies.get("/v1/traces", [])]
        groups = [scope for one in requests for group in one.resource_spans for scope in group.scope_spans]
        return [span.name for scope in groups for span in scope.spans]


@pytest.fixture
def collector() -> Iterator[Collector]:
    class Keeps(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.bodies.setdefault(self.path, []).append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Keeps)
    found = Collector(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield found
    server.shutdown()
    server.server_close()


def run_task(settings: dict[str, str]) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in TELEMETRY and name != COLLECTOR}
    command = [sys.executable, "-c", TASK]
    return subprocess.run(command, env=environment | settings, capture_output=True, text=True, check=True, timeout=90).stdout


def test_seconds_tokens_and_spans_reach_the_collector_and_mlflow_keeps_its_own(collector: Collector) -> None:
    printed = run_task({COLLECTOR: collector.url, **TELEMETRY})
    tags = {"writer": "lamplight", "stage": "train"}
    told = {name: value for name, value in collector.gauges().items() if "ghostwriter" in name}
    assert told == {"airflow.ghostwriter.stage.seconds": (61.5, tags), "airflow.ghostwriter.stage.tokens": (1200, tags)}
    assert collector.spans() == ["task_run.train"]
    assert "MLflow: False" in printed


def test_nothing_is_sent_where_it_is_off(collector: Collector) -> None:
    run_task({COLLECTOR: collector.url})
    assert collector.bodies == {}
