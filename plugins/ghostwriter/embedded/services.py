"""A small supervisor: starts processes, waits until each is healthy, and stops all of them cleanly.

Every service runs in a process group of its own and writes to a log file. What runs is recorded in `services.json`,
so that the services of a supervisor that was killed are stopped by the next one instead of holding their ports.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from ghostwriter.embedded.running import Tell, alone
from ghostwriter.errors import ServiceError

STOP_SECONDS = 65
"""For a service and everything below it to end: a training may take a minute to its checkpoint."""
POLL_SECONDS = 0.25


@dataclass(frozen=True)
class Service:
    """One process to run; healthy once `health_url` answers 200, or at once without one."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None
    health_url: str | None = None
    health_seconds: float = 90
    stops_last: bool = False
    """Whether the others tell it how they ended."""


class Supervisor:
    """Runs services until `stop`; use it as a context manager. Raises ServiceError when another one runs those of the folder."""

    tell: Tell
    """Write down where Airflow and MLflow are, for commands by hand."""

    def __init__(self, folder: Path, stop_seconds: float = STOP_SECONDS) -> None:
        """`folder` receives the logs and the record of what runs; what has not ended after `stop_seconds` is killed."""
        self._stop_seconds = stop_seconds
        self._held = ExitStack()
        self.logs = folder / "logs"
        self._record = folder / "services.json"
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._stops_last: set[str] = set()

    def __enter__(self) -> "Supervisor":
        self.tell = self._held.enter_context(alone(self.logs.parent))
        self.logs.mkdir(parents=True, exist_ok=True)
        stop_leftovers(self._record)
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._held:
            self.stop()

    def start(self, service: Service) -> None:
        """Start a service without waiting for it."""
        with self.log(service.name).open("ab") as log:
            process = subprocess.Popen(
                [str(part) for part in service.command],
                env={**os.environ, **service.environment},
                cwd=service.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                umask=0o077,
            )
        self._running[service.name] = process
        if service.stops_last:
            self._stops_last.add(service.name)
        self._write_record()

    def wait_healthy(self, service: Service) -> None:
        """Return once the service is healthy. Raises ServiceError when it ends, or is not healthy in time."""
        deadline = time.monotonic() + service.health_seconds
        while service.health_url and not _answers(service.health_url):
            self.check()
            if time.monotonic() > deadline:
                raise ServiceError(f"{service.name} did not become healthy in {service.health_seconds:.0f} s. {self._tail(service.name)}")
            time.sleep(POLL_SECONDS)

    def check(self) -> None:
        """Raise ServiceError when a service has ended by itself."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise ServiceError(f"{name} ended by itself (exit status {process.returncode}). {self._tail(name)}")

    def stop(self, name: str | None = None) -> None:
        """End one service, or all of them: those that others report to after the rest. What does not end in time is killed."""
        for chosen in ([name],) if name else (set(self._running) - self._stops_last, self._stops_last & set(self._running)):
            ending = {each: self._running.pop(each) for each in chosen}
            stop_families([process.pid for process in ending.values()], self._stop_seconds)
            for process in ending.values():
                process.wait()
        self._write_record()

    def log(self, name: str) -> Path:
        """The log file of a service."""
        return self.logs / f"{name}.log"

    def _write_record(self) -> None:
        running = {name: [process.pid, _birth(process.pid)] for name, process in self._running.items()}
        if running:
            self._record.write_text(json.dumps(running))
        else:
            self._record.unlink(missing_ok=True)

    def _tail(self, name: str, lines: int = 15) -> str:
        last = self.log(name).read_text(errors="replace").splitlines()[-lines:]
        return f"The end of {self.log(name)}:\n" + "\n".join(f"    {line}" for line in last)


def stop_leftovers(record: Path) -> list[str]:
    """Stop the services an earlier, killed supervisor left running; returns their names."""
    if not record.exists():
        return []
    recorded: dict[str, tuple[int, float]] = json.loads(record.read_text() or "{}")
    left = {name: pid for name, (pid, birth) in recorded.items() if birth and _birth(pid) == birth}
    stop_families(list(left.values()))
    record.unlink(missing_ok=True)
    return list(left)


def stop_families(leaders: Sequence[int], seconds: float = STOP_SECONDS) -> None:
    """End the processes with these ids and all below them: Airflow gives each task a process group of its own.

    SIGTERM goes to the leaders' groups; a worker hands it on to its task. What is left after a minute is killed.
    """
    families = _families(leaders)
    _signal_groups(leaders, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while any(_runs(process) for process in families) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        families |= _families(leaders)
    _signal_groups(leaders, signal.SIGKILL)
    for process in families:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _families(leaders: Sequence[int]) -> set[psutil.Process]:
    """The members of these process groups, and all their descendants."""
    everyone = list(psutil.process_iter(["ppid"]))
    family = {process.pid for process in everyone if _group(process.pid) in leaders}
    grown = 0
    while len(family) > grown:
        grown = len(family)
        family |= {process.pid for process in everyone if process.info["ppid"] in family}
    return {process for process in everyone if process.pid in family}


def _group(pid: int) -> int | None:
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return None


def require_free_ports(ports: Mapping[str, int], host: str = "127.0.0.1") -> None:
    """Raise ServiceError naming the setting (the mapping's key) of a port that is taken."""
    for setting, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                raise ServiceError(
                    f"Port {port} is taken ({error.strerror}). Stop what uses it, or choose another: {setting}={port + 10}."
                ) from error


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Return once `condition` holds. Raises ServiceError naming `what` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceError(f"{what} did not happen in {seconds:.0f} s.")
        time.sleep(POLL_SECONDS)


def _answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).status_code == 200
    except requests.RequestException:
        return False


def _birth(pid: int) -> float:
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _signal_groups(leaders: Sequence[int], number: signal.Signals) -> None:
    for leader in leaders:
        try:
            os.killpg(leader, number)
        except ProcessLookupError:
            continue
