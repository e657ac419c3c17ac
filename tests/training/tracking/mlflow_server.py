"""A real MLflow server for tests (from the Airflow side's environment), and servers that fail in ways of their own."""

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
START_SECONDS = 90


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def mlflow_server(
    folder: Path, *, program: Path = ROOT / ".venv" / "bin" / "mlflow", artifacts: str = "", told: Mapping[str, str] | None = None
) -> Iterator[str]:
    """The address of a running server with its state in `folder`, and its artifacts there or at a URL.

    `told` are further environment variables.
    """
    port = free_port()
    arguments = [
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder}/mlflow.db",
    ]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **(told or {})}
    with (folder / "server.log").open("ab") as log:
        server = subprocess.Popen(
            [program, *arguments, "--artifacts-destination", artifacts or str(folder / "artifacts")],
            stdout=log,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, folder)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, 15)
            server.wait(30)


@contextmanager
def silent_server() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def _wait(url: str, server: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AssertionError(f"no MLflow server: {(folder / 'server.log').read_text()[-2000:]}")
