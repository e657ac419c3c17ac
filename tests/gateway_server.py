"""A gateway on this machine that streams as Ghostwriter's does, with answers told beforehand, for tests of whoever asks it.

with GatewayServer({"tester": ["one ", "two"], "tester@v2": ["three"]}) as gateway:
    ...  gateway.url, gateway.requests, gateway.broken_off
"""

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

VERSIONS = {"": "3", "champion": "3", "previous": "2", "base": "base"}


@dataclass
class GatewayServer:
    """Runs in a thread of its own, on a free port of 127.0.0.1."""

    answers: dict[str, list[str]]
    """Pieces by model."""
    pauses: dict[str, float] = field(default_factory=dict)
    """Seconds before each piece, by model."""
    refusals: list[tuple[int, dict[str, Any], dict[str, str]]] = field(default_factory=list)
    """Status, error and headers of the next requests, before any is answered."""
    cut: bool = False
    """Whether streams end in the middle, as when an engine dies."""
    finish_reason: str = "stop"
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    broken_off: list[str] = field(default_factory=list)
    """Models whose answer nobody waited for."""
    url: str = ""

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b'{"status": "ok"}')

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.requests.append(request)
                outer.keys.append(self.headers["authorization"])
                outer.answer(self, request["model"])

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, handler: BaseHTTPRequestHandler, model: str) -> None:
        """One request: refuse it, or stream its answer."""
        if self.refusals:
            self._refuse(handler, *self.refusals.pop(0))
        elif model not in self.answers:
            self._refuse(handler, 404, {"message": f"There is no model {model!r}.", "code": "model_not_found"}, {})
        else:
            self._stream(handler, model)

    def _refuse(self, handler: BaseHTTPRequestHandler, status: int, error: dict[str, Any], headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(json.dumps({"error": error}).encode())

    def _stream(self, handler: BaseHTTPRequestHandler, model: str) -> None:
        name = model.partition("@")[2]
        version = VERSIONS.get(name) or name.removeprefix("v")
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("X-Ghostwriter-Version", version)
        handler.send_header("X-Ghostwriter-Digest", f"digest of {version}")
        handler.end_headers()
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}, *({"content": piece} for piece in self.answers[model])]
        try:
            for delta in deltas:
                time.sleep(self.pauses.get(model, 0))
                self._send(handler, model, {"index": 0, "delta": delta, "finish_reason": None})
            if not self.cut:
                self._send(handler, model, {"index": 0, "delta": {}, "finish_reason": self.finish_reason})
                handler.wfile.write(b"data: [DONE]\n\n")
        except OSError:
            self.broken_off.append(model)

    def _send(self, handler: BaseHTTPRequestHandler, model: str, choice: dict[str, Any]) -> None:
        chunk = {"id": f"chatcmpl-{model}", "object": "chat.completion.chunk", "model": model, "choices": [choice]}
        handler.wfile.write(f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode())
        handler.wfile.flush()
