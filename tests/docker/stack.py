"""The compose stack as the tests drive it: the command lines a person would type, and Airflow's REST API."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.home import ROOT

PROJECT = "ghostwriter-test"
FILES = ["--file", str(ROOT / "docker-compose.yaml"), "--file", str(ROOT / "tests/docker/compose.yaml")]
KEY = "sk-seeded-5d1f0c6e77aa"
COOKIE = "z_c0=seeded-cookie-31c9; d_c0=seeded-device-8e02"
HUB_TOKEN = "hf_seeded-6b20"
"""In the file that run.sh names in TRAINING_SECRETS."""
SEEDED = (KEY, "seeded-cookie-31c9", "seeded-device-8e02", HUB_TOKEN)
OURS = f"label=ghostwriter.guard={PROJECT}"
Found = TypeVar("Found")


@dataclass(frozen=True)
class Stack:
    """A running stack; `environment` is what compose is called with."""

    environment: dict[str, str]

    def compose(self, *arguments: str, seconds: float = 300, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`docker compose ARGUMENTS`."""
        return self.run(self.command(*arguments), seconds, check)

    def command(self, *arguments: str) -> list[str]:
        """The command line of `docker compose ARGUMENTS`."""
        return ["docker", "compose", *FILES, *arguments]

    def docker(self, *arguments: str, seconds: float = 120, check: bool = True) -> str:
        """`docker ARGUMENTS`; returns what it printed."""
        return self.run(["docker", *arguments], seconds, check).stdout

    def run(self, command: list[str], seconds: float, check: bool) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", env=self.environment, timeout=seconds, check=False)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-4000:]}")
        return done

    def up(self, *profiles: str, **settings: str) -> None:
        """Start everything with profiles and settings, and wait until it is healthy; the pass through the loop itself is not started."""
        self.environment.update(settings)
        chosen = [part for profile in profiles for part in ("--profile", profile)]
        without = ["--scale", "demo=0"] if "demo" in profiles else []
        self.compose(*chosen, "up", "--detach", "--wait", "--wait-timeout", "240", *without)

    @property
    def api(self) -> AirflowApi:
        """Airflow's API, as admin."""
        return AirflowApi(f"http://127.0.0.1:{self.environment['AIRFLOW_PORT']}", self.password)

    @property
    def password(self) -> str:
        """Of the login `admin`."""
        return str(json.loads((self.secrets / "airflow_passwords.json").read_text())["admin"])

    @property
    def secrets(self) -> Path:
        return Path(self.environment["SECRETS"])

    def containers(self, *, running: bool = True) -> list[dict[str, Any]]:
        """The training containers, as `docker inspect` shows them."""
        found = self.docker("ps", "--quiet", "--filter", OURS, *([] if running else ["--all"])).split()
        inspected: list[dict[str, Any]] = json.loads(self.docker("inspect", *found)) if found else []
        return inspected

    def training(self, after_step: int = 1) -> dict[str, Any]:
        """The one running training container, once it has logged the step."""

        def there() -> dict[str, Any] | None:
            found = self.containers()
            steps = re.findall(r"^train: (\d+)/", self.log(found[0]), re.MULTILINE) if found else []
            return found[0] if steps and int(steps[-1]) >= after_step else None

        return wait_for(there, 240, f"a training container at step {after_step}")

    def log(self, container: dict[str, Any]) -> str:
        """What a container has printed."""
        done = self.run(["docker", "logs", container["Id"]], 60, check=True)
        return done.stdout + done.stderr

    def kill_processes(self, service: str, title: str) -> int:
        """SIGKILL to the processes of a service whose title contains `title`; how many there were."""
        container = self.compose("ps", "--quiet", service).stdout.strip()
        lines = self.docker("top", container, "-eo", "pid,args").splitlines()[1:]
        pids = [line.split()[0] for line in lines if title in line]
        for pid in pids:
            os.kill(int(pid), 9)
        return len(pids)


def wait_for(look: Callable[[], Found | None], seconds: float, what: str) -> Found:
    """What `look` finds. Raises AssertionError when there is nothing in time."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what}: not in {seconds:.0f} s"
        time.sleep(1)
    return found


def new_stack() -> Stack:
    """The stack that tests/docker/run.sh has built the images for."""
    seeds = {"SEEDED_KEY": KEY, "SEEDED_COOKIE": COOKIE, "TEST_FILES": str(ROOT / "tests/docker")}
    return Stack({**os.environ, "COMPOSE_PROJECT_NAME": PROJECT, **seeds})
