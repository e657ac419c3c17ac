"""A secret stays with the host it was first used with, whoever edits the connection."""

import json
from collections.abc import Callable

import pytest

from ghostwriter.__main__ import main
from ghostwriter.errors import ConnectionMissing
from ghostwriter.home import Home
from ghostwriter.tasks.connections import site_access, teacher_endpoint
from ghostwriter.tasks.trusted_hosts import HostChanged
from ghostwriter.writer_settings import Source

Connect = Callable[..., None]
SITE = Source(kind="zhihu", account="a", connection="site")


@pytest.fixture(autouse=True)
def installation(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(home.path))


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Connect:
    """Writes a connection, as its editor does."""

    def write(name: str, host: str | None, password: str = "the-secret") -> None:
        fields = {"conn_type": "http", "host": host, "password": password}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(fields))

    return write


def test_a_key_that_is_led_to_another_host_stops_until_confirmed(connect: Connect, capsys: pytest.CaptureFixture[str]) -> None:
    connect("teacher", "https://api.example.com/v1")
    assert teacher_endpoint("teacher").key.get_secret_value() == "the-secret"
    connect("teacher", "https://evil.example/v1")
    with pytest.raises(HostChanged, match=r"python -m ghostwriter trust teacher https://evil.example/v1") as stopped:
        teacher_endpoint("teacher")
    assert "the-secret" not in str(stopped.value)
    with pytest.raises(HostChanged):
        teacher_endpoint("teacher")
    assert main(["trust", "teacher", "https://evil.example/v1"]) == 0
    assert "may be sent to https://evil.example." in capsys.readouterr().out
    assert teacher_endpoint("teacher").base_url == "https://evil.example/v1"


def test_a_new_key_for_the_same_host_and_another_path_needs_no_word(connect: Connect) -> None:
    connect("teacher", "https://api.example.com/v1")
    teacher_endpoint("teacher")
    connect("teacher", "https://API.example.com/v2", "another-secret")
    assert teacher_endpoint("teacher").key.get_secret_value() == "another-secret"


def test_another_port_is_another_server_but_on_this_machine(connect: Connect) -> None:
    connect("here", "http://127.0.0.1:8901/v1")
    teacher_endpoint("here")
    connect("here", "http://localhost:8911/v1")
    teacher_endpoint("here")
    connect("there", "https://api.example.com/v1")
    teacher_endpoint("there")
    connect("there", "https://api.example.com:8443/v1")
    with pytest.raises(HostChanged):
        teacher_endpoint("there")


def test_a_cookie_is_bound_to_the_real_site_when_no_host_is_named(connect: Connect) -> None:
    connect("site", None)
    assert site_access(SITE)["cookie"] == "the-secret"
    connect("site", "https://evil.example")
    with pytest.raises(HostChanged, match=r"leads to https://evil.example; its secret was first used with https://www.zhihu.com"):
        site_access(SITE)


@pytest.mark.parametrize("host", ["169.254.169.254", "2852039166", "0xA9FEA9FE", "[fe80::1]", "[::ffff:169.254.169.254]"])
def test_no_key_goes_to_an_address_of_the_link_itself(connect: Connect, host: str) -> None:
    connect("teacher", f"http://{host}/v1")
    with pytest.raises(ConnectionMissing, match="address of the link itself"):
        teacher_endpoint("teacher")
