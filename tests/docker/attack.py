"""Run in the scheduler's container: what an attacker there could ask of the guarded Docker API.

Usage: python attack.py create NAME...   the status of an honest create call under each name
       python attack.py change CHANGES   the status of an honest create call with each change
       python attack.py poll SECONDS NAME...   every call on each name, again and again
       python attack.py hold   a training container that waits for its request; prints its id
"""

import hashlib
import json
import os
import sys
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

PROJECT = "ghostwriter-test"
REQUEST = Path("/var/lib/ghostwriter/runs/attack/1/request.json")
LABELS = {f"ghostwriter.{key}": "attack" for key in ("stage", "dag", "run", "task")}
ACTIONS = [
    *(("GET", "json"), ("GET", "logs?stdout=1"), ("POST", "start"), ("POST", "stop?t=0")),
    ("DELETE", "?force=1"),
]


def call(method: str, path: str, body: object = None) -> tuple[int, bytes]:
    connection = HTTPConnection("guard", 2375, timeout=30)
    content = None if body is None else json.dumps(body).encode()
    connection.request(method, path, content, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    status, words = answer.status, answer.read()
    connection.close()
    return status, words


def honest_body() -> dict[str, Any]:
    home = {"Type": "volume", "Source": f"{PROJECT}_home", "Target": "/var/lib/ghostwriter"}
    return {
        "Image": "ghostwriter-training",
        "Cmd": ["training", "train", str(REQUEST)],
        "Labels": LABELS | {"ghostwriter.map": "-1"},
        "HostConfig": {
            "Mounts": [home],
            "NetworkMode": f"{PROJECT}_training",
            "Memory": 2**29,
            "ShmSize": 2**26,
        },
    }


def honest_name() -> str:
    digest = hashlib.sha256(f"{PROJECT}_home {REQUEST}".encode()).hexdigest()
    return f"ghostwriter-train-{digest[:16]}"


def create(names: list[str]) -> dict[str, int]:
    names = [honest_name() if name == "honest" else name for name in names]
    made = {n: call("POST", f"/containers/create?name={n}", honest_body()) for n in names}
    for status, words in made.values():
        if status == 201:
            call("DELETE", f"/containers/{json.loads(words)['Id']}?force=1")
    return {name: status for name, (status, _) in made.items()}


def change(changes: dict[str, dict[str, Any]]) -> dict[str, int]:
    statuses = {}
    for name, changed in {"nothing of it": {}, **changes}.items():
        body = honest_body()
        host = {**body["HostConfig"], **changed.get("HostConfig", {})}
        changed_body = {**body, **changed, "HostConfig": host}
        statuses[name], _ = call("POST", f"/containers/create?name={honest_name()}", changed_body)
        call("DELETE", f"/containers/{honest_name()}?force=1")
    return statuses


def poll(seconds: float, names: list[str]) -> dict[str, object]:
    """How often each status came, and everything that a status of success came with."""
    end, statuses, told = time.monotonic() + seconds, Counter[int](), list[str]()

    def work(name: str, method: str, action: str) -> None:
        path = f"/containers/{name}" + (action if action[0] == "?" else f"/{action}")
        while time.monotonic() < end:
            try:
                status, words = call(method, path)
            except (OSError, HTTPException):
                statuses[0] += 1
                continue
            statuses[status] += 1
            if status < 400:
                told.append(f"{method} {path} {words[:200]!r}")

    threads = [threading.Thread(target=work, args=(n, *a)) for n in names for a in ACTIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"statuses": statuses, "told": told}


def hold() -> str:
    REQUEST.parent.mkdir(parents=True, exist_ok=True)
    if not REQUEST.exists():
        os.mkfifo(REQUEST)  # whoever opens it to read waits until someone writes
    status, words = call("POST", f"/containers/create?name={honest_name()}", honest_body())
    assert status == 201, words
    status, failure = call("POST", f"/containers/{honest_name()}/start")
    assert status == 204, failure
    return str(json.loads(words)["Id"])


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["create", *names]:
            print(json.dumps(create(names)))
        case ["change", changes]:
            print(json.dumps(change(json.loads(changes))))
        case ["poll", seconds, *names]:
            print(json.dumps(poll(float(seconds), names)))
        case ["hold"]:
            print(json.dumps(hold()))
