"""Messages to Feishu, DingTalk, WeCom and Slack, through Airflow's notifier to doubles built from the services' own pages."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ghostwriter.errors import MessageRefused
from ghostwriter.tasks.chat_services import Kind, compose, problem_in
from ghostwriter.tasks.notify import tell
from ghostwriter.writer_settings import Notify
from tests.distill_case import make_writer
from tests.ghostwriter.tasks.chat_doubles import KEY, PATHS, Robots, open_robots


@pytest.fixture
def robots() -> Iterator[Robots]:
    with open_robots() as opened:
        yield opened


def send(monkeypatch: pytest.MonkeyPatch, robots: Robots, kind: Kind, words: str = "Free the disk.", **changes: Any) -> int:
    connection = {"conn_type": "http", "host": robots.url, "password": PATHS[kind], "extra": {"secret": KEY}, **changes}
    monkeypatch.setenv("AIRFLOW_CONN_CHAT", json.dumps(connection))
    return tell(make_writer().model_copy(update={"notify": Notify(kind=kind, webhook="chat")}), "It stopped", words)


@pytest.mark.parametrize("kind", ["feishu", "dingtalk", "wecom"])
def test_a_robot_that_checks_signature_and_keyword_takes_the_message(monkeypatch: pytest.MonkeyPatch, robots: Robots, kind: Kind) -> None:
    assert send(monkeypatch, robots, kind) == 1
    assert robots.said == [(kind, "Ghostwriter · It stopped\nFree the disk.")]
    assert KEY not in robots.headers[0]


def test_slack_is_sent_what_it_was_sent_before(monkeypatch: pytest.MonkeyPatch, robots: Robots) -> None:
    send(monkeypatch, robots, "slack")
    assert robots.said == [("slack", "It stopped\nFree the disk.")]


@pytest.mark.parametrize(
    ("kind", "changes", "words"),
    [
        ("feishu", {"extra": {}}, "feishu did not take the message .code 19021: sign match fail.* belongs into the extra field `secret`"),
        ("feishu", {"password": "open-apis/bot/v2/hook/old"}, "code 19001.*copy it again"),
        ("dingtalk", {"extra": {"secret": "SECother"}}, "dingtalk did not take the message .code 310000: sign not match.*SEC"),
        ("dingtalk", {"password": "robot/send?access_token=old"}, "code 300001: token is not exist.*copy it again"),
        ("wecom", {"password": "cgi-bin/webhook/send?key=old"}, "wecom did not take the message .code 93000: invalid webhook url"),
        ("wecom", {"password": PATHS["slack"]}, "wecom answered with something else than its API does: b'ok'"),
    ],
)
def test_a_refusal_that_comes_with_status_200_is_an_error_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, robots: Robots, kind: Kind, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(MessageRefused, match=words):
        send(monkeypatch, robots, kind, **changes)
    assert [said for said in robots.said if said[0] == kind] == []


def test_wecom_is_sent_no_more_than_it_takes(monkeypatch: pytest.MonkeyPatch, robots: Robots) -> None:
    send(monkeypatch, robots, "wecom", "写" * 1_000)
    assert robots.said[0][1].startswith("Ghostwriter · It stopped\n写写") and len(robots.said[0][1].encode()) <= 2_048


def test_a_signature_is_the_one_that_openssl_makes() -> None:
    """printf '' | openssl dgst -sha256 -hmac $'1599360473\\ndemo' -binary | base64, and the other way round."""
    assert compose("feishu", "x", "demo", 1_599_360_473).body["sign"] == "l1N0gAcBjdwBvGm1xMjOF0XSyaLRpR7tuO5dHfhAYc8="
    assert (
        compose("dingtalk", "x", "demo", 1_599_360_473).query
        == "&timestamp=1599360473000&sign=eblRZvilBzXa6Ce18IeBM4pMy1rYNWKicaCg6VMwQe0%3D"
    )
    assert compose("dingtalk", "x", "", 0).query == ""


def test_a_code_nobody_knows_is_told_with_where_to_look() -> None:
    assert problem_in("feishu", b'{"code": 7, "msg": "new"}') == (
        "feishu did not take the message (code 7: new). Look this code up in the service's own pages,"
        " and send a message by hand: python -m ghostwriter notify WRITER."
    )
    assert problem_in("generic", b"whatever") is None
