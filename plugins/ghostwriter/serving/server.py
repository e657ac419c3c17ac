"""Runs the gateway: one process of a home folder, on this machine alone unless a key is wanted."""

import fcntl
import logging
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx2
import uvicorn

from ghostwriter.addresses import is_loopback
from ghostwriter.errors import ServiceError
from ghostwriter.home import Home
from ghostwriter.mlflow_runs.registry import Registry
from ghostwriter.mlflow_runs.server import tracking_uri
from ghostwriter.serving.engine import Engine
from ghostwriter.serving.exports import Exports
from ghostwriter.serving.follow import REGISTRY_SECONDS, Follow
from ghostwriter.serving.gateway import Gateway
from ghostwriter.serving.versions import Versions
from ghostwriter.writer import Writer, load_writer, readable_writers, writer_stems

log = logging.getLogger(__name__)

PORT = 8910
LOCK = "serving.lock"
CONNECT_SECONDS, ANSWER_SECONDS = 5.0, 600.0
"""To an engine; the second between any two tokens, and before the first while others are answered."""
ENDING_SECONDS = 10
NOTIFY_SECONDS = 180
LOCAL_NAMES = ["127.0.0.1", "localhost"]


@dataclass(frozen=True)
class Settings:
    """How the gateway listens and follows."""

    host: str = "127.0.0.1"
    port: int = PORT
    poll: float = 2.0
    """Seconds between two looks at the registry."""
    most: int = 16
    """Requests that one version takes at once; more are told to ask again."""


def serve(home: Home, engine: Engine, writers: Sequence[str], settings: Settings) -> None:
    """Run until a signal ends it. Raises ServiceError when another gateway of this home folder runs, or the port is taken."""
    tracking_uri()
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")  # the default of 7 takes minutes to say that MLflow is away
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "30")
    for stem in writers:
        load_writer(stem)
    key = read_key(home, is_wanted=not is_loopback(settings.host))
    with _alone(home), _connection(settings) as listening:
        client = httpx2.AsyncClient(timeout=httpx2.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS), trust_env=False, limits=_limits())
        versions = Versions(Exports(home, engine.form), engine, client, most=settings.most)
        follow = Follow(chosen(writers), lambda: Registry(tracking_uri(), REGISTRY_SECONDS), versions, partial(_tell, home))
        hosts = LOCAL_NAMES if is_loopback(settings.host) else None
        gateway = Gateway(follow, client, poll=settings.poll, key=key, hosts=hosts)
        config = uvicorn.Config(gateway.app, log_config=None, access_log=False, timeout_graceful_shutdown=ENDING_SECONDS, lifespan="on")
        uvicorn.Server(config).run(sockets=[listening])


def read_key(home: Home, *, is_wanted: bool) -> str:
    """The key in the home folder, made when one is wanted and there is none; empty when none is. Raises ServiceError."""
    path = home.serving_key
    if is_wanted and not path.exists():
        home.check_space()
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
        log.info("Requests must bear the key in %s.", path)
    if not path.exists():
        return ""
    if path.stat().st_mode & 0o077:
        raise ServiceError(f"{path} can be read by others. Make it your own: chmod 600 {path}")
    if not (key := path.read_text().strip()):
        raise ServiceError(f"{path} is empty. Remove it, and a new key is made when one is wanted.")
    return key


def _tell(home: Home, writer: Writer, what: str, why: str) -> None:
    """Send the writer's message, in a process that may load Airflow, which this one has no use for."""
    if not writer.notify:
        return
    command = [sys.executable, "-m", "ghostwriter", "notify", writer.stem, "--home", str(home.path)]
    try:
        done = subprocess.run(command, input=f"{what}\n{why}", capture_output=True, text=True, timeout=NOTIFY_SECONDS, check=False)
        said = done.stderr.strip().splitlines()[-1:] if done.returncode else []
    except subprocess.TimeoutExpired:
        said = [f"it took longer than {NOTIFY_SECONDS} s"]
    if said:
        log.warning("The message about %s could not be sent: %s", writer.stem, said[0])


def chosen(writers: Sequence[str]) -> Callable[[], Mapping[str, Writer]]:
    """What reads these writers' files, or all. One that cannot be read, because somebody is at work on it, is as it was read before."""
    known: dict[str, Writer] = {}

    def read() -> Mapping[str, Writer]:
        there = set(writer_stems())
        for gone in set(known) - there:
            del known[gone]
        known.update({writer.stem: writer for writer in readable_writers() if not writers or writer.stem in writers})
        return dict(known)

    return read


def _limits() -> httpx2.Limits:
    return httpx2.Limits(max_connections=None, max_keepalive_connections=0)


@contextmanager
def _connection(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, settings.port))
        except OSError as error:
            where = f"{settings.host}:{settings.port}"
            raise ServiceError(
                f"{where} cannot be listened on ({error.strerror}). Choose another port: --port {settings.port + 10}."
            ) from None
        host, port = listening.getsockname()[:2]
        log.info("OpenAI's chat completions: http://%s:%d/v1", f"[{host}]" if ":" in host else host, port)
        yield listening


@contextmanager
def _alone(home: Home) -> Iterator[None]:
    home.check_space()
    path: Path = home.path / LOCK
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ServiceError(f"A gateway serves {home.path} already. Use that one, or stop it first.") from None
        yield
