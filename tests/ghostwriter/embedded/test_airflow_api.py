"""The client of Airflow's REST API, against a server that says what Airflow says while its SQLite is locked."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.errors import ServiceError

LOCKED = b'{"detail":{"reason":"Database error","statement":"hidden","orig_error":"hidden","message":"Serious error"}}'


class LockedServer(HTTPServer):
    """Refuses so many requests."""

    refusals = 0
    asked = 0


class Handler(BaseHTTPRequestHandler):
    def do_PATCH(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        assert isinstance(self.server, LockedServer)
        self.server.asked += 1
        is_locked = self.server.asked <= self.server.refusals
        self.send_response(500 if is_locked else 200)
        self.end_headers()
        self.wfile.write(LOCKED if is_locked else b'{"is_paused": true}')

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[LockedServer]:
    with LockedServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize(("refusals", "requests"), [(0, 1), (2, 3), (9, 4)])
def test_what_a_locked_database_took_back_is_asked_again_three_times_at_most(server: LockedServer, refusals: int, requests: int) -> None:
    server.refusals, api = refusals, AirflowApi(f"http://127.0.0.1:{server.server_port}", "password")
    if refusals < 4:
        assert api.patch("dags/lamplight_collect", {"is_paused": True}) == {"is_paused": True}
    else:
        with pytest.raises(ServiceError, match=r"answered 500 to PATCH dags/lamplight_collect.*Database error"):
            api.patch("dags/lamplight_collect", {"is_paused": True})
    assert server.asked == requests
