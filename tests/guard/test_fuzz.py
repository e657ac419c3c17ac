"""Thousands of harmful requests: whatever is sent on equals what the allow list would write.

What it would write stands here once more, word by word, and shares no code with the guard.
"""

import hashlib
import json
import posixpath
import re
import socket
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from guard.calls import Call, body_length, parse_call
from guard.engine import Engine
from guard.leases import Leases
from guard.parsing import Refused
from guard.proxy import Guard
from tests.guard.allowed import OWNED, POLICY
from tests.guard.engine_server import EngineServer
from tests.guard.generate import Generator, Request

PURE, THROUGH_HTTP = 20_000, 600
HOME = {"Type": "volume", "Source": "gw_home", "Target": "/var/lib/ghostwriter"}
LOGIN = {"Type": "volume", "Source": "gw_netrc", "Target": "/run/ghostwriter"}
MOUNTS = [{**HOME, "ReadOnly": False}, {**HOME, "ReadOnly": True}, {**LOGIN, "ReadOnly": True}]
CALLS = {
    "GET /_ping": set(),
    "GET /version": set(),
    "GET /containers/json": {"all", "filters"},
    "POST /containers/create": {"name"},
    "GET /containers/{id}/json": set(),
    "GET /containers/{id}/logs": {"stdout", "stderr", "timestamps", "since", "tail"},
    "POST /containers/{id}/start": set(),
    "POST /containers/{id}/stop": {"t"},
    "DELETE /containers/{id}": {"force", "v"},
}
MIRROR = "HF_ENDPOINT=https://mirror.example.org"
LABELS = [f"ghostwriter.{name}" for name in ("stage", "dag", "run", "task", "map")]
NAME = r"ghostwriter-(train|evaluate|measure|examine)-[0-9a-f]{16}"
SHORT = r"[A-Za-z0-9.]{1,20}"


def written(body: Any) -> Any:
    """The one body that may be made of the few values a client chooses."""
    host = body["HostConfig"]
    return {
        "Image": "ghostwriter-training",
        "Cmd": ["training", *body["Cmd"][1:]],
        "User": "10001:10001",
        "Env": body["Env"],
        "Labels": {
            **{label: body["Labels"][label] for label in LABELS},
            "com.docker.compose.project": "",
            "com.docker.compose.service": "",
            "ghostwriter.guard": "gw",
        },
        "HostConfig": {
            "Mounts": host["Mounts"],
            "NetworkMode": "gw_training",
            "Memory": host["Memory"],
            "MemorySwap": host["Memory"],
            "ShmSize": host["ShmSize"],
            "DeviceRequests": [],
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 4096,
            "Tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=1g"},
            "LogConfig": {"Type": "json-file", "Config": {"max-size": "20m", "max-file": "3"}},
        },
    }


def check_body(content: bytes, name: str) -> None:
    body = json.loads(content)
    assert body == written(body)
    host, (_, stage, path) = body["HostConfig"], body["Cmd"]
    assert body["Env"] in ([], [MIRROR])
    assert all(mount in MOUNTS for mount in host["Mounts"])
    assert type(host["Memory"]) is int and 1 <= host["Memory"] <= 2**30
    assert type(host["ShmSize"]) is int and 1 <= host["ShmSize"] <= 2**34
    assert stage in {"train", "evaluate", "measure", "examine"}
    assert path == posixpath.normpath(path) and path.isascii() and path.isprintable()
    assert path.startswith("/var/lib/ghostwriter/") and path.endswith("/request.json")
    assert all(isinstance(v, str) and v.isprintable() for v in body["Labels"].values())
    digest = hashlib.sha256(f"gw_home {path}".encode()).hexdigest()
    assert name == f"ghostwriter-{stage}-{digest[:16]}"


def check(call: Call) -> None:
    """Fails when the call is not one that the allow list would write."""
    parameters = CALLS[f"{call.method} {call.path}"]
    assert set(call.query) <= parameters
    assert bool(call.container) == ("{id}" in call.path)
    assert re.fullmatch(rf"{NAME}|[0-9a-f]{{64}}|", call.container)
    for name, value in call.query.items():
        if name == "filters":
            assert json.loads(value)["label"].pop() == "ghostwriter.guard=gw"
        elif name != "name":
            assert re.fullmatch(SHORT, value)
    if call.path == "/containers/create":
        check_body(call.body or b"", call.query["name"])
    else:
        assert call.body is None


def decide(request: Request) -> Call | None:
    """The call that is sent on; None for a request that is refused."""
    try:
        length = body_length(request.headers)
        body = request.body[:length]
        return parse_call(POLICY, request.method, request.target, body)
    except Refused:
        return None


def test_whatever_is_sent_on_is_what_the_allow_list_would_write() -> None:
    generator, sent, refused = Generator(seed=24), Counter[str](), 0
    for number in range(PURE):
        request = generator.request()
        call = decide(request)
        if call is None:
            refused += 1
            continue
        try:
            check(call)
        except (AssertionError, KeyError) as failure:
            raise AssertionError(f"Request {number} became {call}: {request}") from failure
        sent[f"{call.method} {call.path}"] += 1
    assert set(sent) == set(CALLS)
    assert min(sent.values()) > 20
    assert sent["POST /containers/create"] > 1000
    assert refused > PURE / 2


def exchange(address: tuple[str, int], request: Request) -> bytes:
    """The first line of the answer to a request, sent as it is."""
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    head = f"{request.method} {request.target} HTTP/1.1\r\nHost: g\r\n{headers}\r\n"
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(head.encode("utf-8", "surrogatepass") + request.body)
        connection.shutdown(socket.SHUT_WR)
        return connection.makefile("rb").readline()


def test_through_http_every_request_is_answered_and_no_foreign_container_touched(
    tmp_path: Path,
) -> None:
    generator, statuses = Generator(seed=7), Counter[bytes]()
    with EngineServer(tmp_path / "engine.sock") as engine:
        foreign = [engine.add("postgres", {}), engine.add("ghostwriter-train-" + "0" * 16, {})]
        engine.add("ours", OWNED)
        guard = Guard(("127.0.0.1", 0), POLICY, Engine(str(engine.path)), Leases())
        threading.Thread(target=guard.serve_forever, args=(0.02,), daemon=True).start()
        for _ in range(THROUGH_HTTP):
            request = generator.request()
            line = exchange(("127.0.0.1", guard.server_address[1]), request)
            assert re.match(rb"HTTP/1.1 \d{3} ", line), request
            statuses[line[9:12]] += 1
        guard.shutdown()
        guard.server_close()
        assert all(engine.containers[container]["State"]["Running"] for container in foreign)
        touched = {path for method, path, _ in engine.calls if method != "GET"}
    assert not [path for path in touched if any(container in path for container in foreign)]
    assert {b"200", b"201", b"403"} <= set(statuses)
    assert set(statuses) <= {b"200", b"201", b"204", b"400", b"403", b"404", b"409", b"501"}
