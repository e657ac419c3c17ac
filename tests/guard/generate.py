"""Requests that an attacker might send: honest ones, changed at random. The same for a seed."""

import copy
import json
import random
from typing import Any, NamedTuple

from tests.guard.allowed import HOME, NAME, REQUEST, body

BODY = "Image Cmd Labels HostConfig User Env Entrypoint Hostname Domainname Volumes WorkingDir"
BODY += " NetworkingConfig ExposedPorts MacAddress Healthcheck StopSignal Shell OnBuild Tty"
HOST = "Mounts NetworkMode Memory ShmSize DeviceRequests Binds Privileged PidMode IpcMode CapAdd"
HOST += " UsernsMode CgroupnsMode CgroupParent Devices DeviceCgroupRules SecurityOpt ReadonlyPaths"
HOST += " MaskedPaths Runtime Links VolumesFrom ExtraHosts Dns DnsSearch PortBindings UTSMode Init"
HOST += " PublishAllPorts OomKillDisable OomScoreAdj Sysctls Tmpfs LogConfig RestartPolicy"
HOST += " StorageOpt GroupAdd AutoRemove VolumeDriver MemorySwap NanoCpus PidsLimit Ulimits"
HOST += " ReadonlyRootfs CapDrop"
MOUNT = "Type Source Target ReadOnly BindOptions VolumeOptions TmpfsOptions Consistency"
DEVICE = "Driver Count DeviceIDs Capabilities Options"
KEYS = [*f"{BODY} {HOST} {MOUNT} {DEVICE}".split(), "ghostwriter.guard", "ghostwriter.map"]
NASTY: list[Any] = [
    *("", "/", "host", "bind", "container:postgres", "gw_home", "gw_netrc", "../..", "0:0"),
    *("\n", "\0", "\x1b[31m", "\u202e", "\ud800", "postgres", "train", "/var/lib/ghostwriter"),
    *(True, False, None, 0, 1, -1, 2**29, 2**31, 2**63, 1.5, float("nan"), 1e308, "1", "2g"),
    *([], {}, [[]], [None], ["gpu"], [["gpu"]], [["sh"]], ["/:/host"], {"a": {}}, [HOME]),
    *(["HF_ENDPOINT=https://mirror.example.org"], ["HF_ENDPOINT=http://x"], ["HF_TOKEN=x"]),
    *({"Privileged": True}, {"Type": "bind"}, {"DriverConfig": {"Options": {"device": "/"}}}),
]
TARGETS = [
    *("/_ping", "/version", "/containers/json", "/containers/create", "/info", "/build"),
    *(f"/containers/{{}}/{action}" for action in ("json", "logs", "start", "stop", "exec")),
    *("/containers/{}", "/containers/{}/archive", "/images/json", "/v1.41/containers/{}/start"),
]
FOREIGN = "ghostwriter-train-" + "0" * 16
NAMES = [NAME, FOREIGN, "0" * 63 + "1", "postgres", "mlflow", "0", "", ".."]
PARAMETERS = [
    *("force=1", "v=1", "t=5", "t=99999", "all=1", "tail=20", "since=1", "stdout=1", "follow=1"),
    *('filters={"label":["a=b"]}', 'filters={"name":["x"]}', "filters=[]", "size=1", "signal=9"),
]
PUT_IN = ["/", "..", "%2F", "%00", "\x1b", "?", "#", "é", "&name=x", "//["]
HEADERS = [
    *(("Content-Length", length) for length in ("0", "5", "70000", "-1", "9" * 5000, "0x5", "٣")),
    *(("Transfer-Encoding", "chunked"), ("Upgrade", "tcp"), ("Content-Type", "text/plain")),
]


class Request(NamedTuple):
    """What a client sends."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Generator:
    """Requests without end."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def request(self) -> Request:
        """Half of them create calls; most with something wrong in one or two places."""
        content = self._content()
        headers = {"Content-Length": str(len(content))}
        if self._random.random() < 0.1:
            headers |= [self._random.choice(HEADERS)]
        method = self._random.choice(["GET", "POST", "POST", "DELETE", "HEAD", "PUT"])
        if self._random.random() < 0.5:
            return Request("POST", self._damaged(self._create_target()), headers, content)
        return Request(method, self._damaged(self._target()), headers, content)

    def _create_target(self) -> str:
        name = NAME if self._random.random() < 0.8 else self._random.choice(NAMES)
        return f"{self._random.choice(['', '/v1.41'])}/containers/create?name={name}"

    def _target(self) -> str:
        target = self._random.choice(TARGETS).format(self._random.choice(NAMES))
        chosen = self._random.sample(PARAMETERS, self._random.randrange(3))
        return target + ("?" + "&".join(chosen) if chosen else "")

    def _content(self) -> bytes:
        asked = copy.deepcopy(body())
        for _ in range(self._random.choice([0, 1, 1, 2, 3])):
            self._change(asked)
        text = json.dumps(asked)
        if self._random.random() < 0.1:
            extra = json.dumps({self._key(): self._value()})
            text = f"{text[:-1]}, {extra[1:]}"
        if self._random.random() < 0.05:
            text = self._damaged(text)
        return text.encode("utf-8", "surrogatepass")

    def _change(self, asked: Any) -> None:
        """Change one place in a tree of JSON, at any depth."""
        while isinstance(asked, dict | list) and asked:
            keys = list(asked) if isinstance(asked, dict) else list(range(len(asked)))
            key = self._random.choice(keys)
            if isinstance(asked[key], dict | list) and self._random.random() < 0.7:
                asked = asked[key]
                continue
            if isinstance(asked, dict) and self._random.random() < 0.4:
                asked[self._key()] = self._value()
            elif self._random.random() < 0.2:
                del asked[key]
            elif isinstance(asked[key], str) and self._random.random() < 0.4:
                asked[key] = self._damaged(asked[key])
            else:
                asked[key] = self._value()
            return

    def _key(self) -> str:
        key = self._random.choice(KEYS)
        return self._random.choice([key, key, key.lower(), key.upper(), f"{key} "])

    def _value(self) -> Any:
        if self._random.random() < 0.1:
            return REQUEST.replace("/runs", self._random.choice(["/../runs", "//runs", "/a-b.c"]))
        return copy.deepcopy(self._random.choice(NASTY))

    def _damaged(self, text: str) -> str:
        """Mostly as it is; else a character is put in, taken out or encoded."""
        if not text or self._random.random() < 0.7:
            return text
        at = self._random.randrange(len(text))
        before, after = text[:at], text[at + 1 :]
        put = self._random.choice(PUT_IN)
        code = f"%{ord(text[at]) % 256:02X}"
        return before + self._random.choice([put + text[at:], after, code + after])
