"""A client's request into the one call that may be sent to the engine for it; pure, no engine.

What a training container needs and nothing else. A container is named by the name its launcher
gave it or by its full id; the engine's guesses (the beginning of an id) are not for clients.
"""

import json
import re
from collections.abc import Mapping
from email.message import Message
from typing import NamedTuple
from urllib.parse import parse_qsl

from guard.parsing import Json, Refused, items, known_keys, parse_json, shown, whole
from guard.policy import NAME, OWNED, Policy

LARGEST_BODY = 64 * 1024
LONGEST_STOP = 120
PING, LIST, CREATE = "/_ping", "/containers/json", "/containers/create"
INSPECT, LOGS, ONE = "/containers/{id}/json", "/containers/{id}/logs", "/containers/{id}"
START, STOP = "/containers/{id}/start", "/containers/{id}/stop"
ROUTES = {
    ("GET", PING): (),
    ("GET", "/version"): (),
    ("GET", LIST): ("all", "filters"),
    ("POST", CREATE): ("name",),
    ("GET", INSPECT): (),
    ("GET", LOGS): ("stdout", "stderr", "timestamps", "since", "tail"),
    ("POST", START): (),
    ("POST", STOP): ("t",),
    ("DELETE", ONE): ("force", "v"),
}
"""Method and path, less the version before it, to the parameters that are passed on."""
FLAG = r"0|1|[Tt]rue|[Ff]alse"
PARAMETERS = {
    **dict.fromkeys(("all", "force", "stderr", "stdout", "timestamps", "v"), FLAG),
    "since": r"[0-9]{1,12}(\.[0-9]{1,9})?",
    "tail": r"all|[0-9]{1,9}",
}
"""What a parameter must match; `filters`, `name` and `t` are built anew."""
VERSION = re.compile(r"/v[0-9]{1,3}\.[0-9]{1,3}(?=/)")
CONTAINER = rf"(?P<id>{NAME}|[0-9a-f]{{64}})"
MOST_LABELS = 16
LONGEST_LABEL = 600


class Call(NamedTuple):
    """What may be sent to the engine; of a container only once it is known to be made here."""

    method: str
    path: str
    """With `{id}` where the container's id belongs."""
    container: str
    """Name or full id as the client gave it; empty where the path has none."""
    query: dict[str, str]
    body: bytes | None


def body_length(headers: Mapping[str, str] | Message) -> int:
    """How many bytes of body to read. Raises Refused."""
    if headers.get("Transfer-Encoding") or headers.get("Upgrade"):
        raise Refused("Streams into a container are not allowed.")
    return whole(headers.get("Content-Length") or "0", LARGEST_BODY, "The length of a body")


def parse_call(policy: Policy, method: str, target: str, body: bytes) -> Call:
    """The call for a request; `target` is what stands behind the method. Raises Refused."""
    path, _, parameters = target.partition("?")
    version = VERSION.match(path)
    method = "GET" if method == "HEAD" else method
    route, container = _route(method, path[version.end() :] if version else path)
    allowed = ROUTES[method, route]
    asked = {name: value for name, value in parse_qsl(parameters) if name in allowed}
    if route == CREATE:
        return _create(policy, asked.get("name"), body)
    return Call(method, route, container, _query(policy, route, asked), None)


def _create(policy: Policy, asked: str | None, body: bytes) -> Call:
    built = policy.create_body(parse_json(body, "The body"))
    name = policy.container_name(built)
    if asked != name:
        raise Refused(f"The name {shown(asked)} is not allowed, only {name} for this Cmd.")
    return Call("POST", CREATE, "", {"name": name}, json.dumps(built).encode())


def _route(method: str, path: str) -> tuple[str, str]:
    """The route of a path, and the container in it."""
    for known, route in ROUTES:
        found = re.fullmatch(re.escape(route).replace(r"\{id\}", CONTAINER), path)
        if found and known == method:
            return route, found.groupdict().get("id") or ""
    raise Refused(f"{shown(method)} {shown(path)} is not allowed.")


def _query(policy: Policy, route: str, asked: dict[str, str]) -> dict[str, str]:
    query = {name: value for name, value in asked.items() if name in PARAMETERS}
    for name, value in query.items():
        if not re.fullmatch(PARAMETERS[name], value):
            raise Refused(f"The {name} {shown(value)} is not allowed.")
    if route == LIST:
        query["filters"] = json.dumps(_filters(policy, asked.get("filters") or "{}"))
    if route == STOP:
        query["t"] = str(whole(asked.get("t", "10"), LONGEST_STOP, "t"))
    return query


def _filters(policy: Policy, text: str) -> Json:
    """A client's filters on labels, and the guard's own beside them."""
    asked = known_keys(parse_json(text, "filters"), {"label"}, "filters.")
    labels = items(asked.get("label"), "filters.label")
    if len(labels) > MOST_LABELS or not all(map(_is_label, labels)):
        raise Refused(f"filters.label must be up to {MOST_LABELS} labels, not {shown(labels)}.")
    return {"label": [*labels, f"{OWNED}={policy.project}"]}


def _is_label(label: object) -> bool:
    return isinstance(label, str) and label.isprintable() and len(label) <= LONGEST_LABEL
