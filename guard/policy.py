"""What a training container may be: the body of a create call is parsed and a new one is built.

A filter on names does not hold: the engine reads JSON keys case-insensitively, and a named volume
can carry options that mount the host. So nothing of the client's body is passed on but values
checked here, under names written here.
"""

import hashlib
import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from guard.network import NetworkError, allowed, network_settings
from guard.parsing import Json, Refused, items, known_keys, positive, shown, texts

OWNED = "ghostwriter.guard"
"""Label of every container made through this guard; its value is the guard's project."""
NOT_COMPOSE = {"com.docker.compose.project": "", "com.docker.compose.service": ""}
"""An image that compose built hands these labels down; with them `docker compose up` would take
the container for one of its own."""
USER = "10001:10001"
LARGEST_SHM = 2**34
TMPFS_OPTIONS = "rw,noexec,nosuid,nodev,size=1g"
PIDS = 4096
STAGES = ("train", "evaluate", "measure", "examine")
WITHOUT_GPU = {"measure"}
"""Stages whose containers get none."""
NAME = rf"ghostwriter-(?:{'|'.join(STAGES)})-[0-9a-f]{{16}}"
"""A container's name is its name in DNS on the training network, so no client may choose one."""
REQUEST = re.compile(r"(?:/[A-Za-z0-9_][A-Za-z0-9_.-]*)+/request\.json")
LONGEST_PATH = 1000
LABELS = {f"ghostwriter.{name}" for name in ("stage", "dag", "run", "task", "map")}
"""Which task instance the container works for; the DAG `maintenance` needs all five."""
LONGEST_LABEL = 500
MEMORY = re.compile(r"(\d+)([bkmg]?)")
UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}

BODY_KEYS = {"Image", "Cmd", "Labels", "HostConfig", "User", "Env"}
ATTACHED = {"AttachStdout", "AttachStderr"}
HOST_KEYS = {"Mounts", "NetworkMode", "Memory", "ShmSize", "DeviceRequests"}
FORCED = {"ReadonlyRootfs", "CapDrop", "SecurityOpt", "PidsLimit", "Tmpfs", "LogConfig"}
"""Hardening that a client may name too; what it says there is not read."""
MOUNT_KEYS = {"Type", "Source", "Target", "ReadOnly"}
DEVICE_KEYS = {"Count", "Capabilities"}


class SettingsError(Exception):
    """A setting of the guard is missing or contradicts another one; the message names it."""


@dataclass(frozen=True)
class Policy:
    """What is allowed, decided by whoever starts the guard."""

    project: str
    images: frozenset[str]
    volumes: Mapping[str, tuple[str, bool]]
    """Name of a volume to where it is mounted, and whether only for reading. Exactly one may be
    written: the home volume."""
    network: str
    memory: int
    """Bytes a container may have at most."""
    total_memory: int
    """Bytes all running containers may have together."""
    containers: int
    """How many containers there may be, running or ended."""
    gpus: int
    """How many GPUs each container gets; -1 for all."""
    network_settings: Mapping[str, str] = field(default_factory=dict)
    """Where containers find hubs and proxies: name to the one value that a client may name."""

    @classmethod
    def from_environment(cls) -> "Policy":
        """GUARD_PROJECT and its neighbours, as docker-compose.yaml sets them. Raises SettingsError.

        GUARD_VOLUMES is `name:/target[:ro]`, comma-separated; memory is written like 16g;
        GUARD_TOTAL_MEMORY is twice GUARD_MEMORY unless it is set.
        """
        memory = parse_memory(_setting("GUARD_MEMORY"))
        total = os.environ.get("GUARD_TOTAL_MEMORY")
        policy = cls(
            project=_setting("GUARD_PROJECT"),
            images=frozenset(_setting("GUARD_IMAGES").split(",")),
            volumes=_volumes(_setting("GUARD_VOLUMES")),
            network=_setting("GUARD_NETWORK"),
            memory=memory,
            total_memory=parse_memory(total) if total else 2 * memory,
            containers=_count("GUARD_CONTAINERS", os.environ.get("GUARD_CONTAINERS") or "16"),
            gpus=_gpus(os.environ.get("GUARD_GPUS") or "0"),
            network_settings=_network_settings(),
        )
        if policy.total_memory < memory:
            raise SettingsError("GUARD_TOTAL_MEMORY is less than GUARD_MEMORY. Raise it.")
        return policy

    @property
    def home(self) -> tuple[str, str]:
        """Name of the home volume, and where it is mounted."""
        (name,) = [name for name, (_, read_only) in self.volumes.items() if not read_only]
        return name, self.volumes[name][0]

    def create_body(self, asked: Any) -> Json:
        """The body to send to the engine for what a client asked. Raises Refused."""
        body = known_keys(asked, BODY_KEYS | ATTACHED, "")
        host = known_keys(body.get("HostConfig") or {}, HOST_KEYS | FORCED, "HostConfig.")
        _choice(host.get("NetworkMode"), {self.network}, "HostConfig.NetworkMode")
        _choice(body.get("User", USER), {USER}, "User")
        command = self._command(body.get("Cmd"))
        gpus = 0 if command[1] in WITHOUT_GPU else self.gpus
        return {
            "Image": _choice(body.get("Image"), self.images, "Image"),
            "Cmd": command,
            "User": USER,
            "Env": allowed(body.get("Env"), self.network_settings),
            "Labels": {**_labels(body.get("Labels")), **NOT_COMPOSE, OWNED: self.project},
            "HostConfig": self._host_config(host, gpus),
        }

    def container_name(self, body: Json) -> str:
        """The one name that the container of such a body may have; launchers make the same one."""
        _, stage, request = body["Cmd"]
        digest = hashlib.sha256(f"{self.home[0]} {request}".encode()).hexdigest()
        return f"ghostwriter-{stage}-{digest[:16]}"

    def _command(self, asked: Any) -> list[str]:
        command, home = texts(asked, "Cmd"), self.home[1]
        match command:
            case ["training", stage, path] if stage in STAGES and len(path) <= LONGEST_PATH:
                if path.startswith(f"{home}/") and REQUEST.fullmatch(path, len(home)):
                    return command
        choice = f"training {'|'.join(STAGES)} and the path of a request.json below {home}"
        raise Refused(f"Cmd {shown(command)} is not allowed, only {choice}.")

    def _host_config(self, host: Json, gpus: int) -> Json:
        memory = positive(host.get("Memory"), self.memory, "HostConfig.Memory")
        mounts = items(host.get("Mounts"), "HostConfig.Mounts")
        return {
            "Mounts": [self._mount(mount) for mount in mounts],
            "NetworkMode": self.network,
            "Memory": memory,
            "MemorySwap": memory,
            "ShmSize": positive(host.get("ShmSize"), LARGEST_SHM, "HostConfig.ShmSize"),
            "DeviceRequests": _device_requests(host.get("DeviceRequests"), gpus),
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": PIDS,
            "Tmpfs": {"/tmp": TMPFS_OPTIONS},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}},
        }

    def _mount(self, asked: Any) -> Json:
        mount = known_keys(asked, MOUNT_KEYS, "HostConfig.Mounts.")
        _choice(mount.get("Type"), {"volume"}, "HostConfig.Mounts.Type")
        name = _choice(mount.get("Source"), self.volumes, "HostConfig.Mounts.Source")
        target, read_only = self.volumes[name]
        _choice(mount.get("Target"), {target}, "HostConfig.Mounts.Target")
        read_only = read_only or mount.get("ReadOnly") is True
        return {"Type": "volume", "Source": name, "Target": target, "ReadOnly": read_only}


def parse_memory(text: str) -> int:
    """`16g` to bytes. Raises SettingsError."""
    found = MEMORY.fullmatch(text.lower())
    if not found:
        raise SettingsError(f"{text!r} is no amount of memory; write it like 16g.")
    return int(found[1]) * UNITS[found[2]]


def _setting(name: str) -> str:
    try:
        return os.environ[name]
    except KeyError:
        raise SettingsError(f"{name} is not set; docker-compose.yaml shows what it is.") from None


def _volumes(text: str) -> dict[str, tuple[str, bool]]:
    entries = [entry.split(":") for entry in text.split(",")]
    volumes = {name: (target, mode == ["ro"]) for name, target, *mode in entries}
    if [read_only for _, read_only in volumes.values()].count(False) != 1:
        raise SettingsError(f"GUARD_VOLUMES is {text!r}; all but the home volume must end in :ro.")
    return volumes


def _count(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise SettingsError(f"{name} is {text!r}. Set it to a whole number.")
    return int(text)


def _network_settings() -> dict[str, str]:
    try:
        return network_settings(os.environ)
    except NetworkError as error:
        raise SettingsError(str(error)) from None


def _gpus(text: str) -> int:
    return -1 if text == "all" else _count("GUARD_GPUS", text)


def _device_requests(asked: Any, gpus: int) -> list[Json]:
    """The guard's own setting; a client that asks for something else is told so."""
    given = [{"Count": gpus, "Capabilities": [["gpu"]]}] if gpus else []
    where = "HostConfig.DeviceRequests"
    if [known_keys(one, DEVICE_KEYS, f"{where}.") for one in items(asked, where)] != given:
        amount = "all" if gpus == -1 else gpus
        advice = "Set GPUS, and start guard and Airflow again."
        words = f"{where} asks for other devices than the guard gives: {amount} GPUs."
        raise Refused(f"{words} {advice}")
    return [{"Driver": "", "DeviceIDs": [], **request} for request in given]


def _choice(value: Any, allowed: Collection[str], name: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        choice = ", ".join(sorted(allowed))
        raise Refused(f"{name} {shown(value)} is not allowed, only {choice}.")
    return value


def _labels(asked: Any) -> dict[str, str]:
    labels = known_keys(asked or {}, LABELS, "The label ")
    for label in sorted(LABELS):
        value = labels.get(label)
        if not isinstance(value, str) or len(value) > LONGEST_LABEL or not value.isprintable():
            raise Refused(f"The label {label} must be a line of text, not {shown(value)}.")
    if not re.fullmatch(r"-1|[0-9]{1,9}", labels["ghostwriter.map"]):
        raise Refused("The label ghostwriter.map must be a task's map index, or -1.")
    return labels
