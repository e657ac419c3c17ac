"""Which requests become calls, as a pure function."""

import json
from typing import Any

import pytest

from guard.calls import Call, body_length, parse_call
from guard.parsing import Refused
from tests.guard.allowed import NAME, POLICY, body

ID = "0" * 63 + "1"


def call(method: str, target: str, content: Any = None) -> Call:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    return parse_call(POLICY, method, target, b"" if content is None else data)


def refusal(method: str, target: str, content: Any = None) -> str:
    with pytest.raises(Refused) as refused:
        call(method, target, content)
    return str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "postgres",
        "mlflow",
        "huggingface.co",
        "ghostwriter-train-0000000000000000",
        NAME.upper(),
        f"{NAME}0",
        NAME.replace("train", "evaluate"),
        f"{NAME}%0A",
        "",
    ],
)
def test_a_container_may_have_no_name_but_that_of_its_request(name: str) -> None:
    assert "is not allowed" in refusal("POST", f"/containers/create?name={name}", body())
    assert "is not allowed" in refusal("POST", "/containers/create", body())


def test_a_container_is_made_from_the_new_body_only() -> None:
    made = call("POST", f"/v1.41/containers/create?name={NAME}", body())
    content = json.dumps(POLICY.create_body(body())).encode()
    assert made == Call("POST", "/containers/create", "", {"name": NAME}, content)


def test_of_a_key_said_twice_only_the_value_that_was_checked_counts() -> None:
    twice = json.dumps(body())[:-1] + ', "HostConfig": {"Privileged": true}}'
    words = refusal("POST", f"/containers/create?name={NAME}", twice.encode())
    assert words == "HostConfig.Privileged is not allowed."


@pytest.mark.parametrize("container", [NAME, ID])
def test_calls_on_a_container_name_it_by_its_name_or_full_id(container: str) -> None:
    started = call("POST", f"/v1.41/containers/{container}/start")
    assert started == Call("POST", "/containers/{id}/start", container, {}, None)
    removed = call("DELETE", f"/containers/{container}?force=True&link=1")
    assert removed == Call("DELETE", "/containers/{id}", container, {"force": "True"}, None)


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/images/json"),
        ("POST", "/images/create?fromImage=alpine"),
        ("POST", "/build"),
        ("GET", "/info"),
        ("GET", "/volumes"),
        ("POST", "/volumes/create"),
        ("POST", "/networks/create"),
        ("POST", f"/containers/{NAME}/exec"),
        ("POST", "/exec/1/start"),
        ("POST", f"/containers/{NAME}/attach"),
        ("GET", f"/containers/{NAME}/archive?path=/"),
        ("PUT", f"/containers/{NAME}/archive?path=/"),
        ("POST", f"/containers/{NAME}/update"),
        ("POST", f"/containers/{NAME}/rename?name=x"),
        ("POST", f"/containers/{NAME}%2Fexec/start"),
        ("POST", "/containers/../images/create"),
        ("POST", f"/v1.41/v1.41/containers/{NAME}/start"),
        ("POST", f"/containers/v1.41/{NAME}/start"),
        ("POST", f"/images/v1.41/containers/{NAME}/start"),
        ("POST", f"/containers/{NAME}/v1.41/start"),
        ("POST", "/containers/prune"),
        ("GET", "/containers/postgres/json"),
        ("GET", "/containers/0/json"),
        ("GET", f"/containers/{ID[:12]}/json"),
        ("DELETE", "/containers/postgres?force=1"),
        ("GET", f"http://[::1/containers/{NAME}/json"),
        ("GET", f"//[::1/containers/{NAME}/json"),
        ("GET", ""),
    ],
)
def test_every_other_call_is_refused(method: str, target: str) -> None:
    assert "is not allowed" in refusal(method, target)


@pytest.mark.parametrize(
    "target",
    [
        f"/containers/{NAME}/logs?tail=1e9",
        f"/containers/{NAME}/logs?since=yesterday",
        f"/containers/{NAME}/logs?stdout=1%26follow=1",
        "/containers/json?all=every",
    ],
)
def test_a_parameter_must_be_what_the_launcher_sends(target: str) -> None:
    assert "is not allowed" in refusal("GET", target)


@pytest.mark.parametrize("time", ["121", "-1", "5" * 5000, "1e2", "%D9%A3"])
def test_a_stop_is_bounded(time: str) -> None:
    words = refusal("POST", f"/containers/{NAME}/stop?t={time}")
    assert words.startswith("t must be a whole number up to 120")


def test_filters_keep_the_guards_own() -> None:
    listed = call("GET", '/containers/json?all=1&filters={"label":["ghostwriter.stage"]}')
    filters = {"label": ["ghostwriter.stage", "ghostwriter.guard=gw"]}
    assert listed.query == {"all": "1", "filters": json.dumps(filters)}
    none = call("GET", '/containers/json?filters={"label":null}')
    assert none.query == {"filters": json.dumps({"label": ["ghostwriter.guard=gw"]})}


@pytest.mark.parametrize(
    "filters",
    [
        '{"label":[null]}',
        '{"label":{"a":true}}',
        '{"name":["postgres"]}',
        "[]",
        '{"label":["a%0Ab"]}',
        "[" * 4000,
    ],
)
def test_other_filters_are_refused(filters: str) -> None:
    assert "filters" in refusal("GET", f"/containers/json?filters={filters}")


@pytest.mark.parametrize(
    "content",
    [b"{", b"[" * 4000, b'{"a":' * 4000, b"\xff", b"9" * 5000, b"null", b"[]", b'"text"'],
)
def test_a_body_that_is_no_object_is_refused(content: bytes) -> None:
    assert "The body" in refusal("POST", f"/containers/create?name={NAME}", content)


def test_what_is_nested_deeply_is_refused_in_few_words() -> None:
    nested = json.dumps(body())[:-1] + ', "Image": ' + "[" * 900 + "]" * 900 + "}"
    words = refusal("POST", f"/containers/create?name={NAME}", nested.encode())
    assert words == "Image [[[[...]]]] is not allowed, only ghostwriter-training."


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Length": "65537"},
        {"Content-Length": "9" * 5000},
        {"Content-Length": "-1"},
        {"Content-Length": "1_0"},
        {"Content-Length": "²"},
        {"Transfer-Encoding": "chunked"},
        {"Upgrade": "tcp"},
    ],
)
def test_a_body_is_bounded_and_comes_at_once(headers: dict[str, str]) -> None:
    with pytest.raises(Refused):
        body_length(headers)


def test_words_cannot_forge_a_line_of_the_log() -> None:
    forged = "x\nRefused nothing\x1b[31m\u202e"
    words = refusal("POST", f"/containers/create?name={NAME}", body(**{forged: 1}))
    assert words == r"x\nRefused nothing\x1b[31m\u202e is not allowed."
    assert len(refusal("POST", "/containers/create", body(**{"x" * 10_000: 1}))) == 500
