"""A double of the Kubernetes API over HTTP: the calls that the pod operator makes, with the answers and refusals of a real one."""

import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.objects import NAMESPACE, Json, Refused

TOKEN = "a-token-of-a-service-account"


class ApiServer(ThreadingHTTPServer):
    """Use as a context manager. `away` lets every call end without an answer; with an event in `unanswered` the next creation gets none,
    once the event is set."""

    daemon_threads = True

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.cluster = cluster
        self.calls: list[tuple[str, str, dict[str, str]]] = []
        self.away = False
        self.unanswered: threading.Event | None = None

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is none of ours."""

    def write_kubeconfig(self, path: Path, *, token: str = TOKEN) -> Path:
        """What a client needs to reach this server."""
        context = {"name": "double", "context": {"cluster": "double", "user": "airflow", "namespace": NAMESPACE}}
        cluster = {"name": "double", "cluster": {"server": f"http://127.0.0.1:{self.server_address[1]}"}}
        user = {"name": "airflow", "user": {"token": token}}
        config = {"apiVersion": "v1", "kind": "Config", "current-context": "double", "contexts": [context]}
        path.write_text(json.dumps({**config, "clusters": [cluster], "users": [user]}))
        return path


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ApiServer

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query))
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.away:
            self.close_connection = True
            return
        self.server.calls.append((self.command, parts.path, query))
        try:
            self._answer(parts.path, query, json.loads(body) if body else {})
        except Refused as refused:
            self._send(refused.status, refused.body)

    do_POST = do_DELETE = do_PATCH = do_GET

    def _answer(self, path: str, query: dict[str, str], body: Json) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            raise Refused(401, "Unauthorized", "Unauthorized")
        if match := re.fullmatch(r"/api(?:/v1|s/batch/v1)/namespaces/([^/]+)/(pods|events|jobs)(?:/([^/]+))?(?:/(log))?", path):
            return self._namespaced(*match.groups(), query, body)
        raise Refused(404, "NotFound", "the server could not find the requested resource")

    def _namespaced(self, namespace: str, kind: str, name: str | None, part: str | None, query: dict[str, str], body: Json) -> None:
        cluster, verb = self.server.cluster, self.command
        objects = cluster.jobs if kind == "jobs" else cluster
        if cluster.forbidden:
            user = 'User "system:serviceaccount:airflow:worker"'
            words = f'{user} cannot {verb.lower()} resource "{kind}" in API group "" in the namespace "{namespace}"'
            raise Refused(403, "Forbidden", f"{kind} is forbidden: {words}")
        if namespace != NAMESPACE:
            raise Refused(404, "NotFound", f'namespaces "{namespace}" not found' if verb == "POST" else f'{kind} "{name}" not found')
        if kind == "events":
            return self._events(query)
        if verb == "POST":
            made = objects.create(body)
            if event := self.server.unanswered:
                event.wait(60)
                self.server.unanswered, self.close_connection = None, True
                return None
            return self._send(201, made)
        if name is None:
            found = objects.matching(query.get("labelSelector", ""))
            listed = {"kind": "JobList", "apiVersion": "batch/v1"} if kind == "jobs" else {"kind": "PodList", "apiVersion": "v1"}
            return self._send(200, {**listed, "metadata": {"resourceVersion": cluster.version}, "items": found})
        if part == "log":
            return self._log(cluster.get(name), query)
        if verb == "DELETE" and kind == "jobs":
            cluster.jobs.delete(name, query.get("propagationPolicy"))
            return self._send(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})
        if verb == "DELETE":
            asked = body.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
            return self._send(200, cluster.delete(name, None if asked is None else int(asked)))
        return self._send(200, objects.patch(name, body) if verb == "PATCH" else objects.get(name))

    def _events(self, query: dict[str, str]) -> None:
        cluster = self.server.cluster
        wanted = query["fieldSelector"].removeprefix("involvedObject.name=")
        if query.get("watch", "").lower() != "true":
            found = [event for event in cluster.events if event["involvedObject"]["name"] == wanted]
            return self._send(
                200, {"kind": "EventList", "apiVersion": "v1", "metadata": {"resourceVersion": cluster.version}, "items": found}
            )
        return self._stream(_watched(cluster, wanted, int(query.get("resourceVersion") or 0), int(query.get("timeoutSeconds", 30))))

    def _log(self, pod: Json, query: dict[str, str]) -> None:
        state = pod["status"].get("containerStatuses", [{"state": {"waiting": {"reason": "ContainerCreating"}}}])[0]["state"]
        if "waiting" in state:
            words = f'container "training" in pod "{pod["metadata"]["name"]}" is waiting to start: {state["waiting"]["reason"]}'
            raise Refused(400, "BadRequest", words)
        self._stream(self.server.cluster.node.log(pod, query))

    def _send(self, status: int, body: Json) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _stream(self, pieces: Iterator[bytes]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json" if self.path.find("/events") > 0 else "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in pieces:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")


def _watched(cluster: Cluster, name: str, after: int, seconds: float) -> Iterator[bytes]:
    """Events of a pod as they come, a JSON line each."""
    deadline, seen = time.monotonic() + seconds, 0
    while time.monotonic() < deadline:
        for event in cluster.events[seen:]:
            seen += 1
            if event["involvedObject"]["name"] == name and int(event["metadata"]["resourceVersion"]) > after:
                yield json.dumps({"type": "ADDED", "object": event}).encode() + b"\n"
        time.sleep(0.05)
