"""The training container: how it is made, hardened, followed, stopped and found again. Used by launcher `docker`.

Every container has a name made from its request, so that the engine itself refuses a second one for the same run, and labels
that say which task instance it works for.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ghostwriter.errors import LaunchError
from ghostwriter.launchers.network import network_settings
from training.contract import WITHOUT_MODEL, Stage

if TYPE_CHECKING:
    from docker import APIClient

Json = dict[str, Any]
USER = "10001:10001"
NETRC_FOLDER = "/run/ghostwriter"
SHM_BYTES = 2**30
"""NCCL dies with "unhandled system error" in Docker's default of 64 MiB."""
PIDS = 4096
TMPFS = {"/tmp": "rw,noexec,nosuid,nodev,size=1g"}
STOP_SECONDS = 25
"""For a checkpoint; then the engine kills."""
STOPPED_STATUS = 143
MEASURING_MEMORY = "8g"
"""At most; what takes less than 4 GiB at the article's size leaves room for the next writer's training beside it."""


@dataclass(frozen=True)
class ContainerSettings:
    """Where training containers run; compose sets the environment variables."""

    image: str
    volume: str
    """Named volume with everything of GHOSTWRITER_HOME."""
    netrc_volume: str
    """Named volume with the file `netrc`, what MLflow's client logs in with, and `training.env` (`training.network`)."""
    network: str
    home: str
    memory: str
    gpus: str
    """`0`, a number, or `all`."""

    @classmethod
    def from_environment(cls) -> "ContainerSettings":
        """GHOSTWRITER_TRAINING_IMAGE and its neighbours. Raises LaunchError naming the one that is missing."""
        try:
            return cls(
                image=os.environ["GHOSTWRITER_TRAINING_IMAGE"],
                volume=os.environ["GHOSTWRITER_VOLUME"],
                netrc_volume=os.environ["GHOSTWRITER_NETRC_VOLUME"],
                network=os.environ["GHOSTWRITER_TRAINING_NETWORK"],
                home=os.environ["GHOSTWRITER_HOME"],
                memory=os.environ.get("GHOSTWRITER_TRAINING_MEMORY") or "16g",
                gpus=os.environ.get("GHOSTWRITER_GPUS") or "0",
            )
        except KeyError as missing:
            raise LaunchError(
                f"{missing.args[0]} is not set; launcher `docker` needs it. docker-compose.yaml shows what each setting is."
            ) from None

    def for_stage(self, stage: Stage) -> "ContainerSettings":
        """The same without what the stage does not need."""
        if stage not in WITHOUT_MODEL:
            return self
        from docker.utils import parse_bytes

        return replace(self, gpus="0", memory=min(self.memory, MEASURING_MEMORY, key=parse_bytes))

    @property
    def gpu_count(self) -> int:
        """How many GPUs a container gets; -1 for all. Raises LaunchError."""
        if self.gpus == "all":
            return -1
        if not self.gpus.isascii() or not self.gpus.isdigit():
            raise LaunchError(f"GHOSTWRITER_GPUS is {self.gpus!r}. Set it to a number, or to `all`.")
        return int(self.gpus)


def container_name(settings: ContainerSettings, stage: str, request: str) -> str:
    """The one name a request's container can have on an engine."""
    return f"ghostwriter-{stage}-{hashlib.sha256(f'{settings.volume} {request}'.encode()).hexdigest()[:16]}"


def create(client: "APIClient", settings: ContainerSettings, name: str, cmd: list[str], labels: Mapping[str, str]) -> str:
    """Make a container and start it; returns its id. Raises LaunchError."""
    from docker.errors import APIError, ImageNotFound

    try:
        container = client.create_container(
            settings.image,
            cmd,
            name=name,
            user=USER,
            labels=dict(labels),
            environment=network_settings(),
            detach=True,
            host_config=host_config(client, settings),
        )["Id"]
        client.start(container)
    except ImageNotFound:
        raise LaunchError(f"The Docker engine has no image {settings.image!r}. Build it with `make images`, or pull it.") from None
    except APIError as error:
        raise LaunchError(_start_problem(str(error.explanation or error))) from None
    return str(container)


def host_config(client: "APIClient", settings: ContainerSettings) -> Json:
    """No capabilities, nothing to write to but /tmp and the volume, no way to more rights, and limits."""
    from docker.types import DeviceRequest, LogConfig, Mount

    mounts = [
        Mount(settings.home, settings.volume, type="volume"),
        Mount(NETRC_FOLDER, settings.netrc_volume, type="volume", read_only=True),
    ]
    gpus = [DeviceRequest(count=settings.gpu_count, capabilities=[["gpu"]])] if settings.gpu_count else None
    config: Json = client.create_host_config(
        mounts=mounts,
        network_mode=settings.network,
        mem_limit=settings.memory,
        shm_size=SHM_BYTES,
        pids_limit=PIDS,
        read_only=True,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges:true"],
        tmpfs=TMPFS,
        device_requests=gpus,
        log_config=LogConfig(type="json-file", config={"max-size": "20m", "max-file": "3"}),
    )
    return config


def find(client: "APIClient", name: str) -> Json | None:
    """The container of that name or id, as `docker inspect` shows it; None when there is none."""
    from docker.errors import NotFound

    try:
        found: Json = client.inspect_container(name)
    except NotFound:
        return None
    return found


def new_lines(client: "APIClient", container: str, last: str) -> list[tuple[str, str]]:
    """Time stamp and text of each line printed after the stamp `last`; of the last 20 lines when it is empty."""
    since = _seconds(last)
    text: bytes = client.logs(container, timestamps=True, since=since, tail="all" if last else 20)
    split = (line.partition(" ") for line in text.decode(errors="replace").splitlines())
    return [(stamp, words) for stamp, _, words in split if stamp > last]


def remove(client: "APIClient", container: str) -> None:
    """Remove a container, running or not; one that is gone already is fine."""
    from docker.errors import APIError

    try:
        client.remove_container(container, force=True)
    except APIError as error:
        if error.status_code not in (404, 409):  # 409: someone else is removing it
            raise


def ending(stage: str, state: Json, settings: ContainerSettings, lines: list[str]) -> str:
    """Why a container that ended without a result ended, and what to do."""
    status = state["ExitCode"]
    if state["OOMKilled"]:
        return (
            f"training {stage} used more than the {settings.memory} of memory it may use, and was killed."
            " Raise TRAINING_MEMORY, or lower micro_batch in the recipe. The last checkpoint is kept."
        )
    return f"training {stage} ended with status {status} and no result. Its last lines:\n" + "\n".join(lines[-8:])


def _start_problem(words: str) -> str:
    """What the engine said, and what to do about it."""
    known = {
        "could not select device driver": "The host has no GPU runtime: install the NVIDIA Container Toolkit, or set GPUS=0.",
        "no space left on device": "The engine's disk is full: free some (`docker system df` shows what takes it), and run again.",
        "No such image": "Build the image with `make images`, or pull it.",
        "network": "Start the stack with `docker compose up`; it makes the network.",
    }
    return f"The Docker engine refused the container: {words} " + next((advice for part, advice in known.items() if part in words), "")


def _seconds(stamp: str) -> int | None:
    """Whole seconds since 1970 of an engine's time stamp."""
    from datetime import datetime

    return int(datetime.fromisoformat(stamp[:19] + "+00:00").timestamp()) if stamp else None
