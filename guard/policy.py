"""What a training container may be: the body of a create call is parsed and a new one built from an allow list.

A filter on names does not hold: the engine reads JSON keys case-insensitively, and a named volume can carry options that mount the
host. So nothing of the client's body is passed on but values checked here, under names written here.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]
OWNED = "ghostwriter.guard"
"""Label of every container made through this guard; its value is the guard's project."""
NOT_COMPOSE = {"com.docker.compose.project": "", "com.docker.compose.service": ""}
"""An image that compose built hands these labels down; with them `docker compose up` would take the container for one of its own."""
USER = "10001:10001"
LARGEST_SHM = 2**34
TMPFS_OPTIONS = "rw,noexec,nosuid,nodev,size=1g"
PIDS = 4096
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}")
LABEL = re.compile(r"ghostwriter\.[a-z_]{1,32}")
LONGEST_LABEL = 500
MEMORY = re.compile(r"(\d+)([bkmg]?)")
UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}

BODY_KEYS = {"Image", "Cmd", "Labels", "HostConfig", "User"}
HOST_KEYS = {"Mounts", "NetworkMode", "Memory", "ShmSize", "DeviceRequests"}
FORCED = {"ReadonlyRootfs", "CapDrop", "SecurityOpt", "PidsLimit", "Tmpfs", "LogConfig"}
"""Hardening that a client may name too; what it says there is not read."""
MOUNT_KEYS = {"Type", "Source", "Target", "ReadOnly"}
DEVICE_KEYS = {"Driver", "Count", "DeviceIDs", "Capabilities"}


class Refused(Exception):
    """The call asks for something that is not on the allow list; the message names it."""


@dataclass(frozen=True)
class Policy:
    """What is allowed, decided by whoever starts the guard."""

    project: str
    images: frozenset[str]
    volumes: Mapping[str, tuple[str, bool]]
    """Name of a volume to where it is mounted, and whether only for reading."""
    network: str
    memory: int
    """Bytes a container may have at most."""

    @classmethod
    def from_environment(cls) -> "Policy":
        """GUARD_PROJECT, GUARD_IMAGES, GUARD_VOLUMES (`name:/target[:ro]`, comma-separated), GUARD_NETWORK, GUARD_MEMORY (like 16g)."""
        entries = [entry.split(":") for entry in os.environ["GUARD_VOLUMES"].split(",")]
        return cls(
            project=os.environ["GUARD_PROJECT"],
            images=frozenset(os.environ["GUARD_IMAGES"].split(",")),
            volumes={name: (target, mode == ["ro"]) for name, target, *mode in entries},
            network=os.environ["GUARD_NETWORK"],
            memory=parse_memory(os.environ["GUARD_MEMORY"]),
        )

    def create_body(self, asked: Any) -> Json:
        """The body to send to the engine for what a client asked. Raises Refused."""
        body = _known(asked, BODY_KEYS | {"AttachStdout", "AttachStderr"}, "")
        host = _known(body.get("HostConfig") or {}, HOST_KEYS | FORCED, "HostConfig.")
        if body.get("Image") not in self.images:
            raise Refused(f"Image {body.get('Image')!r} is not allowed, only {', '.join(sorted(self.images))}.")
        if host.get("NetworkMode") != self.network:
            raise Refused(f"HostConfig.NetworkMode {host.get('NetworkMode')!r} is not allowed, only {self.network!r}.")
        if body.get("User", USER) != USER:
            raise Refused(f"User {body['User']!r} is not allowed, only {USER!r}.")
        return {
            "Image": body["Image"],
            "Cmd": _texts(body.get("Cmd"), "Cmd"),
            "User": USER,
            "Labels": {**_labels(body.get("Labels") or {}), **NOT_COMPOSE, OWNED: self.project},
            "HostConfig": {
                "Mounts": [self._mount(one) for one in _list(host.get("Mounts"), "HostConfig.Mounts")],
                "NetworkMode": self.network,
                "Memory": _number(host.get("Memory"), self.memory, "HostConfig.Memory"),
                "MemorySwap": _number(host.get("Memory"), self.memory, "HostConfig.Memory"),
                "ShmSize": _number(host.get("ShmSize"), LARGEST_SHM, "HostConfig.ShmSize"),
                "DeviceRequests": [_gpus(one) for one in _list(host.get("DeviceRequests"), "HostConfig.DeviceRequests")],
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],
                "SecurityOpt": ["no-new-privileges:true"],
                "PidsLimit": PIDS,
                "Tmpfs": {"/tmp": TMPFS_OPTIONS},
                "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}},
            },
        }

    def _mount(self, asked: Any) -> Json:
        mount = _known(asked, MOUNT_KEYS, "HostConfig.Mounts.")
        name = mount.get("Source")
        if mount.get("Type") != "volume" or not isinstance(name, str) or name not in self.volumes:
            raise Refused(f"A mount of {mount.get('Type')} {name!r} is not allowed, only of the volumes {', '.join(sorted(self.volumes))}.")
        target, read_only = self.volumes[name]
        if mount.get("Target") != target:
            raise Refused(f"The volume {name} may be mounted at {target} only, not at {mount.get('Target')!r}.")
        return {"Type": "volume", "Source": name, "Target": target, "ReadOnly": read_only or mount.get("ReadOnly") is True}


def parse_memory(text: str) -> int:
    """`16g` to bytes. Raises ValueError."""
    found = MEMORY.fullmatch(text.lower())
    if not found:
        raise ValueError(f"{text!r} is no amount of memory; write it like 16g.")
    return int(found[1]) * UNITS[found[2]]


def container_name(asked: str) -> str:
    """A name to give to a container. Raises Refused."""
    if not NAME.fullmatch(asked):
        raise Refused(f"The name {asked!r} is not allowed.")
    return asked


def _known(asked: Any, allowed: set[str], where: str) -> Json:
    """`asked` less what is empty (a client sends all keys it knows); a key that is not allowed and says something is refused."""
    if not isinstance(asked, dict):
        raise Refused(f"{where or 'The body'} must be an object.")
    said = {key: value for key, value in asked.items() if value not in (None, False, "", 0, [], {})}
    unknown = sorted(set(said) - allowed)
    if unknown:
        raise Refused(f"{where}{unknown[0]} is not allowed.")
    return said


def _labels(asked: Any) -> dict[str, str]:
    if not isinstance(asked, dict):
        raise Refused("Labels must be an object.")
    for name, value in asked.items():
        if not LABEL.fullmatch(name) or name == OWNED or not isinstance(value, str) or len(value) > LONGEST_LABEL:
            raise Refused(f"The label {name!r} is not allowed.")
    return dict(asked)


def _gpus(asked: Any) -> Json:
    request = _known(asked, DEVICE_KEYS, "HostConfig.DeviceRequests.")
    count, ids = request.get("Count", 0), request.get("DeviceIDs", [])
    if request.get("Driver", "nvidia") != "nvidia" or request.get("Capabilities") != [["gpu"]] or not isinstance(count, int):
        raise Refused("Of all devices only GPUs are allowed.")
    return {"Driver": request.get("Driver", ""), "Count": count, "DeviceIDs": _texts(ids, "DeviceIDs"), "Capabilities": [["gpu"]]}


def _number(value: Any, largest: int, name: str) -> int:
    if type(value) is not int or not 0 < value <= largest:
        raise Refused(f"{name} must be between 1 and {largest}, not {value!r}.")
    return value


def _list(value: Any, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise Refused(f"{name} must be a list.")
    return value


def _texts(value: Any, name: str) -> list[str]:
    texts = _list(value, name)
    if not all(isinstance(text, str) for text in texts):
        raise Refused(f"{name} must be a list of strings.")
    return texts
