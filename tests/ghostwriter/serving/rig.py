"""A gateway with everything under it for real: MLflow, versions in its registry, exports by the training side, llama.cpp."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil
from mlflow import MlflowClient

from ghostwriter.home import Home
from ghostwriter.judging.promote import adapter_digest, alias_version, promote, roll_back
from ghostwriter.launchers.local import YIELDING, training_environment, training_python
from ghostwriter.serving.exports import Exports
from ghostwriter.serving.level import CANDIDATE, Facts
from ghostwriter.writer import load_writer

ROOT = Path(__file__).resolve().parents[3]
PLANT = Path(__file__).with_name("plant.py")
STEM = "lamplight"
QUESTIONS = ("What is a lighthouse for?", "Why do you write?", "Is it good to be alone?", "灯塔?")
UNORDERED = "unordered"
PLANTED = {
    "other-base": "was trained on tiny, not on the base tiny given here",
    "rank": "cannot be loaded on tiny",
    "cut-file": "cannot be loaded on tiny",
    "modules-to-save": r"has modules_to_save = \['lm_head'\]",
    "zero-b": "answers of the export could be the base's",
    UNORDERED: "otherwise than the export was proved to",
}
"""Bad adapters that `plant.py` makes, and what is said of them."""
Json = dict[str, Any]


class Rig:
    """One home folder, its MLflow, and adapters made for it."""

    def __init__(self, folder: Path, uri: str, base: str = "tiny", training: "Training | None" = None) -> None:
        """`training`: one that was started before, so that its start took no time of its own."""
        self.folder, self.home, self.uri, self.base = folder, Home(folder / "home"), uri, base
        self.client, self.writer = MlflowClient(uri), load_writer(STEM)
        self._training = training or Training()
        self.experiment = self.client.create_experiment(f"serving-{time.time_ns()}")

    def __enter__(self) -> "Rig":
        return self

    def __exit__(self, *_exception: object) -> None:
        self._training.close()

    @property
    def adapters(self) -> Path:
        """The folder that `plant.py` filled."""
        return self.folder / "planted"

    def plant(self, good: int = 3, scale: float = 0.25) -> None:
        """Make base and adapters."""
        self.adapters.mkdir()
        self._training.ask({"folder": str(self.adapters), "base": self.base, "good": good, "scale": scale})
        self.home.path.mkdir()
        (self.home.path / "models").symlink_to(self.adapters / "models")

    def log(self, adapter: str) -> str:
        """Log an adapter to a run, as its training would; returns the run."""
        run = self.client.create_run(self.experiment).info.run_id
        self.client.log_artifacts(run, str(self.adapters / adapter), "adapter")
        return run

    def promote(self, adapter: str) -> str:
        """Log an adapter, register it and make it the champion; returns its version."""
        run, folder = self.log(adapter), self.adapters / adapter
        found = alias_version(self.client, STEM, "champion")
        before = str(found.version) if found else None
        facts: Json = {"champion": before, "who": "me", "why": "better", "numbers": {}}
        return promote(self.client, self.home, self.writer, run, folder, {"base": self.base}, **facts)

    def roll_back(self, version: str | None = None) -> str:
        """Move the champion back."""
        return roll_back(self.client, self.home, STEM, who="me", why="worse", version=version)

    def export(self, *adapters: str) -> None:
        """Make the exports of some adapters, in one process of the training environment, as the stage would."""
        requests = [str(self._request(adapter)) for adapter in adapters]
        self._training.ask({"requests": requests})
        if UNORDERED in adapters:
            self._training.ask({"unordered": requests[adapters.index(UNORDERED)]})

    def _request(self, adapter: str) -> Path:
        folder = self.adapters / adapter
        facts = Facts(STEM, CANDIDATE, adapter_digest(folder), self.base, None, 0)
        return Exports(self.home, "gguf").request(self.writer, facts, folder, QUESTIONS)

    @contextmanager
    def gateway(self, *options: str) -> Iterator["Gateway"]:
        """A running gateway, as `python -m ghostwriter serve` starts it, on a free port."""
        own = {"MLFLOW_TRACKING_URI": self.uri, "GHOSTWRITER_HOME": str(self.home.path), "PYTHONPATH": f"{ROOT}/plugins:{ROOT}"}
        log = self.folder / "gateway.log"
        command = [sys.executable, "-m", "ghostwriter", "serve", STEM, "--port", "0", *options]
        with log.open("wb") as words:
            process = subprocess.Popen(command, env={**os.environ, **own}, cwd=ROOT, stdout=words, stderr=words)
        try:
            yield Gateway(process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


class Gateway:
    """A gateway's process, and what one asks of it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process, self.log = process, log
        wait(lambda: "http://" in log.read_text() or process.poll() is not None, 60, "the gateway's address")
        found = re.search(r"http://[^ ]+/v1", log.read_text())
        assert found, log.read_text()
        self.url = found[0]

    def health(self, key: str = "") -> Json:
        """What /healthz says."""
        found: Json = httpx2.get(self.url.removesuffix("/v1") + "/healthz", headers=_bearer(key), timeout=10).json()
        return found

    def refuses(self, version: str, seconds: float = 200) -> str:
        """Wait until a version is refused; returns why."""
        wait(lambda: (self.standing().get("failed") or {}).get("version") == version, seconds, f"a verdict on version {version}")
        return str(self.standing()["failed"]["why"])

    def standing(self) -> Json:
        """What /healthz says of the writer; empty before it says anything."""
        found: Json = self.health().get("writers", {}).get(STEM, {})
        return found

    def serves(self, version: str, seconds: float = 120) -> float:
        """Wait until a version answers; returns the seconds it took."""
        began = time.monotonic()
        wait(lambda: self._is_served(version), seconds, f"version {version}")
        return time.monotonic() - began

    def ask(self, question: str, model: str = STEM, **fields: Any) -> httpx2.Response:
        """One answer, whole."""
        body = {"model": model, "messages": [{"role": "user", "content": question}], "temperature": 0, "max_tokens": 24, **fields}
        return httpx2.post(f"{self.url}/chat/completions", json=body, timeout=120)

    def stream(self, question: str, model: str = STEM, on_piece: Callable[[int], None] = lambda _count: None, **fields: Any) -> "Streamed":
        """One answer, event by event; `on_piece` is told how many pieces have come."""
        how = {"temperature": 0, "max_tokens": 24, "stream": True, **fields}
        body = {"model": model, "messages": [{"role": "user", "content": question}], **how}
        return Streamed(f"{self.url}/chat/completions", body, on_piece)

    def engines(self) -> list[psutil.Process]:
        """Processes of llama.cpp below it."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        return [each for each in below if "training.export.llama_server" in each.cmdline()]

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-3000:]

    def _is_served(self, version: str) -> bool:
        found = self.standing()
        return bool(found.get("version") == version and found["is_ready"])


class Streamed:
    """A stream read to its end: text, version, seconds to the first piece and to the end, and the error it ended with, if any."""

    def __init__(self, url: str, body: Json, on_piece: Callable[[int], None]) -> None:
        self.text, self.is_done, self.first, self.pieces, self.models = "", False, 0.0, 0, set[str]()
        self.error: Json | None = None
        began = time.monotonic()
        with httpx2.stream("POST", url, json=body, timeout=120) as answer:
            self.status, self.headers = answer.status_code, answer.headers
            if answer.status_code != 200:
                self.error = json.loads(answer.read())["error"]
                return
            for line in answer.iter_lines():
                self._read(line.removeprefix("data: "), began, on_piece)
        self.seconds = time.monotonic() - began

    @property
    def version(self) -> str:
        """Which one answered."""
        return str(self.headers.get("X-Ghostwriter-Version", ""))

    def _read(self, content: str, began: float, on_piece: Callable[[int], None]) -> None:
        if content == "[DONE]":
            self.is_done = True
        elif content:
            event = json.loads(content)
            self.error = event.get("error", self.error)
            self.models |= {event["model"]} if "model" in event else set()
            for choice in event.get("choices", []):
                if piece := choice["delta"].get("content"):
                    self.pieces += 1
                    self.first = self.first or time.monotonic() - began
                    self.text += piece
                    on_piece(self.pieces)


class Training:
    """`plant.py`, running in the training environment."""

    def __init__(self) -> None:
        command = [str(training_python()), str(PLANT)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=ROOT, env={**training_environment(), **YIELDING}, stdin=pipe, stdout=pipe, text=True)

    def ask(self, what: Json) -> None:
        """Have it done."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        """End it."""
        self._process.communicate()


@contextmanager
def line(port: int, uri: str) -> Iterator[None]:
    """While the block runs, the server at `uri` answers at this port of this machine too."""
    server = urlsplit(uri)

    def hand_on(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):  # either end's end
            while data := source.recv(65_536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    def carry(client: socket.socket) -> None:
        with client, suppress(OSError), socket.create_connection((server.hostname, server.port)) as onward:
            back = threading.Thread(target=hand_on, args=(onward, client), daemon=True)
            back.start()
            hand_on(client, onward)
            back.join()

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):  # the listener's end
            while True:
                threading.Thread(target=carry, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", port)) as listener:
        accepting = threading.Thread(target=accept, args=(listener,), daemon=True)
        accepting.start()
        yield
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()


def has_ended(process: psutil.Process) -> bool:
    """Whether a process runs no more, collected by its parent or not."""
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def wait(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Wait for it. Raises AssertionError when it does not come."""
    deadline = time.monotonic() + seconds
    while not _holds(condition):
        assert time.monotonic() < deadline, f"did not come in {seconds} s: {what}"
        time.sleep(0.1)


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except httpx2.HTTPError:
        return False


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
