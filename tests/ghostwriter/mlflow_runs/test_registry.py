"""An MLflow that is down, hangs, or is something else costs the page less than two seconds and says which it is."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from ghostwriter.mlflow_runs.registry import MlflowSilent, Registry


@contextmanager
def serving(code: int, body: bytes) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "text/plain")  # as MLflow serves a table
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_closed_port_is_said_at_once() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(MlflowSilent, match=f"MLflow at http://127.0.0.1:{port} cannot be reached"):
        Registry(f"http://127.0.0.1:{port}").model("ghostwriter-lamplight")


def test_a_server_that_takes_the_call_and_says_nothing_is_given_up_within_two_seconds() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        registry = Registry(f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(MlflowSilent, match="does not answer in time"):
            registry.model("ghostwriter-lamplight")
        with pytest.raises(MlflowSilent, match="too slow"):
            registry.versions("ghostwriter-lamplight")
        assert time.monotonic() - began < 2


def test_an_unknown_model_is_none_and_not_an_error() -> None:
    with serving(404, b'{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no"}') as uri:
        assert Registry(uri).model("ghostwriter-lamplight") is None


def test_of_one_page_nothing_is_asked_twice() -> None:
    with serving(200, b'{"registered_model": {"name": "x"}}') as uri:
        registry = Registry(uri)
        first = registry.model("ghostwriter-lamplight")
    assert registry.model("ghostwriter-lamplight") == first == {"name": "x"}
    with pytest.raises(MlflowSilent):
        registry.model("ghostwriter-laocheng")


def test_a_table_is_read_as_utf_8() -> None:
    with serving(200, '{"columns": ["question", "writer"], "data": [["灯塔?", "看海。"]]}'.encode()) as uri:
        assert Registry(uri).table("run", "samples.json") == [{"question": "灯塔?", "writer": "看海。"}]


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [(500, b"{}", "answered 500"), (404, b"<html>no such page</html>", "answered 404"), (200, b"<html>hello</html>", "is not MLflow")],
)
def test_something_else_is_said(code: int, body: bytes, words: str) -> None:
    with serving(code, body) as uri, pytest.raises(MlflowSilent, match=words):
        Registry(uri).model("ghostwriter-lamplight")
