"""What may become a training container, and what is refused."""

from typing import Any

import pytest

from guard.policy import Refused, parse_memory
from tests.guard.allowed import POLICY

HOME = {"Type": "volume", "Source": "gw_home", "Target": "/var/lib/ghostwriter"}


def body(**changes: Any) -> dict[str, Any]:
    host = {"Mounts": [HOME], "NetworkMode": "gw_training", "Memory": 2**29, "ShmSize": 2**26, **changes.pop("host", {})}
    return {"Image": "ghostwriter-training", "Cmd": ["training", "train", "/x/request.json"], "HostConfig": host, **changes}


def test_the_body_is_built_anew_with_all_hardening_in_it() -> None:
    asked = body(
        Labels={"ghostwriter.task": "train"}, host={"ReadonlyRootfs": False, "SecurityOpt": ["seccomp=unconfined"], "PidsLimit": -1}
    )
    assert POLICY.create_body(asked) == {
        "Image": "ghostwriter-training",
        "Cmd": ["training", "train", "/x/request.json"],
        "User": "10001:10001",
        "Labels": {
            "ghostwriter.task": "train",
            "com.docker.compose.project": "",
            "com.docker.compose.service": "",
            "ghostwriter.guard": "gw",
        },
        "HostConfig": {
            "Mounts": [{**HOME, "ReadOnly": False}],
            "NetworkMode": "gw_training",
            "Memory": 2**29,
            "MemorySwap": 2**29,
            "ShmSize": 2**26,
            "DeviceRequests": [],
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 4096,
            "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=1g"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}},
        },
    }


REFUSED = [
    ({"host": {"Mounts": [{"Type": "bind", "Source": "/", "Target": "/var/lib/ghostwriter"}]}}, "A mount of bind '/' is not allowed"),
    ({"host": {"Binds": ["/:/host"]}}, "HostConfig.Binds is not allowed"),
    ({"host": {"binds": ["/:/host"]}}, "HostConfig.binds is not allowed"),
    ({"host": {"Mounts": [{**HOME, "Source": "other"}]}}, "A mount of volume 'other' is not allowed"),
    ({"host": {"Mounts": [{**HOME, "Target": "/usr"}]}}, "may be mounted at /var/lib/ghostwriter only, not at '/usr'"),
    (
        {"host": {"Mounts": [{**HOME, "VolumeOptions": {"DriverConfig": {"Options": {"device": "/", "o": "bind"}}}}]}},
        "HostConfig.Mounts.VolumeOptions is not allowed",
    ),
    ({"host": {"Privileged": True}}, "HostConfig.Privileged is not allowed"),
    ({"host": {"privileged": True}}, "HostConfig.privileged is not allowed"),
    ({"Image": "alpine"}, "Image 'alpine' is not allowed, only ghostwriter-training"),
    ({"host": {"NetworkMode": "host"}}, "NetworkMode 'host' is not allowed, only 'gw_training'"),
    ({"host": {"NetworkMode": "container:postgres"}}, "is not allowed"),
    ({"host": {"PidMode": "host"}}, "HostConfig.PidMode is not allowed"),
    ({"host": {"IpcMode": "host"}}, "HostConfig.IpcMode is not allowed"),
    ({"host": {"UsernsMode": "host"}}, "HostConfig.UsernsMode is not allowed"),
    ({"host": {"CapAdd": ["SYS_ADMIN"]}}, "HostConfig.CapAdd is not allowed"),
    ({"host": {"Devices": [{"PathOnHost": "/dev/sda"}]}}, "HostConfig.Devices is not allowed"),
    ({"host": {"DeviceCgroupRules": ["a *:* rwm"]}}, "HostConfig.DeviceCgroupRules is not allowed"),
    ({"host": {"DeviceRequests": [{"Driver": "cdi", "Capabilities": [["gpu"]]}]}}, "Of all devices only GPUs are allowed"),
    ({"host": {"Memory": 2**31}}, "HostConfig.Memory must be between 1 and 1073741824, not 2147483648"),
    ({"host": {"Memory": 0}}, "HostConfig.Memory must be between 1 and 1073741824, not None"),
    ({"host": {"PortBindings": {"80/tcp": [{}]}}}, "HostConfig.PortBindings is not allowed"),
    ({"host": {"VolumesFrom": ["postgres"]}}, "HostConfig.VolumesFrom is not allowed"),
    ({"host": {"Runtime": "other"}}, "HostConfig.Runtime is not allowed"),
    ({"User": "0"}, "User '0' is not allowed"),
    ({"Env": ["LD_PRELOAD=/x"]}, "Env is not allowed"),
    ({"Entrypoint": ["sh"]}, "Entrypoint is not allowed"),
    ({"hostconfig": {"Privileged": True}}, "hostconfig is not allowed"),
    ({"NetworkingConfig": {"EndpointsConfig": {"database": {}}}}, "NetworkingConfig is not allowed"),
    ({"Labels": {"ghostwriter.guard": "other"}}, "The label 'ghostwriter.guard' is not allowed"),
    ({"Labels": {"com.docker.compose.project": "gw"}}, "The label 'com.docker.compose.project' is not allowed"),
    ({"Cmd": "sh -c x"}, "Cmd must be a list"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_whatever_is_not_on_the_allow_list_is_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(Refused, match=words.replace("(", r"\(")):
        POLICY.create_body(body(**changes))


def test_gpus_pass() -> None:
    made = POLICY.create_body(body(host={"DeviceRequests": [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]]}]}))
    assert made["HostConfig"]["DeviceRequests"] == [{"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]]}]


def test_the_volume_with_the_login_is_read_only_whatever_is_asked() -> None:
    mount = {"Type": "volume", "Source": "gw_netrc", "Target": "/run/ghostwriter", "ReadOnly": False}
    assert POLICY.create_body(body(host={"Mounts": [mount]}))["HostConfig"]["Mounts"] == [{**mount, "ReadOnly": True}]


def test_memory_is_read_as_compose_writes_it() -> None:
    assert [parse_memory(text) for text in ("16g", "512M", "1024")] == [2**34, 2**29, 1024]
    with pytest.raises(ValueError, match="'lots' is no amount of memory"):
        parse_memory("lots")
