"""The Test button of each connection type: through Airflow's own connection, to servers that answer as the real ones do."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from airflow.models import Connection
from airflow.providers_manager import ProvidersManager

from demo.site import Request
from ghostwriter.home import Home
from ghostwriter.provider import hooks
from ghostwriter.tasks.connections import site_access, teacher_endpoint
from ghostwriter.tasks.trusted_hosts import trust
from ghostwriter.writer_settings import Source
from tests.ghostwriter.collecting.sources.test_stackexchange import Api, item
from tests.teacher_server import KEY, MODEL, TeacherScript, TeacherServer
from tests.zhihu_site import ACCOUNT, COOKIE, FaultySite, answers

pytestmark = pytest.mark.filterwarnings("ignore:ProvidersManager")  # Airflow's API server itself still asks it
Press = Callable[..., tuple[bool, str]]


@pytest.fixture
def press(home: Home, monkeypatch: pytest.MonkeyPatch) -> Press:
    """Makes the connection that a form holds, and presses Test as Airflow's API does."""
    monkeypatch.setenv("GHOSTWRITER_HOME", str(home.path))

    def made(kind: str, **fields: Any) -> tuple[bool, str]:
        connection = Connection(conn_id="tried", conn_type=kind, **{**fields, "extra": json.dumps(fields.get("extra", {}))})
        monkeypatch.setenv("AIRFLOW_CONN_TRIED", connection.as_json())
        works, words = connection.test_connection()
        return bool(works), str(words)

    return made


def test_airflow_knows_the_types_and_their_fields() -> None:
    hooks = {name: ProvidersManager().hooks[name] for name in ("zhihu", "teacher", "stackexchange")}
    assert [hook and hook.hook_name for hook in hooks.values()] == ["Zhihu 知乎", "Teacher (OpenAI-compatible)", "Stack Exchange"]
    assert ProvidersManager().field_behaviours["zhihu"]["relabeling"] == {"password": "Cookie", "login": "User-Agent", "host": "Site"}
    assert "extra__teacher__model" in ProvidersManager().connection_form_widgets


@pytest.mark.parametrize(
    ("cookie", "works", "words"),
    [
        (COOKIE, True, f"The cookie works: 3 answers of {ACCOUNT} can be read."),
        ("z_c0=EXPIRED; d_c0=x", False, "Log in with your browser, copy the whole Cookie header"),
        ("z_c0=a", False, "The cookie has no d_c0"),
    ],
)
def test_a_cookie_is_tried_with_one_request(press: Press, cookie: str, works: bool, words: str) -> None:
    with FaultySite(answers(3)) as site:
        tested = press("zhihu", host=site.url, password=cookie, login="Mozilla/5.0", extra={"account": ACCOUNT})
        assert len(site.record.seen) == (0 if "no d_c0" in words else 1)
    assert tested[0] is works and words in tested[1], tested


def test_a_site_that_wants_a_signature_is_said_with_the_way_out(press: Press) -> None:
    with FaultySite(answers(3)) as site:
        refusal = site.refuse
        site.refuse = lambda request: refusal(Request(request.path, request.query, {"cookie": "z_c0=a"}))  # type: ignore[method-assign]
        works, words = press("zhihu", host=site.url, password=COOKIE, extra={"account": ACCOUNT})
    assert not works and "python -m ghostwriter import har FILE --writer WRITER" in words


def test_a_key_is_tried_by_what_is_served_or_by_one_short_call(press: Press) -> None:
    with TeacherServer() as teacher:
        fields = {"host": teacher.base_url, "password": KEY}
        assert press("teacher", **fields)[0]
        works, words = press("teacher", **fields, extra={"model": MODEL})
        assert works and words.startswith(f"{MODEL} answers: ")
        works, words = press("teacher", **fields, extra={"model": "other"})
        assert not works and words.startswith("404: The model `other` does not exist. Write a model that this endpoint serves")
        assert "key" in press("teacher", host=teacher.base_url, password="wrong")[1]
        assert "no preset 'x'; there are: deepseek, " in press("teacher", **fields, extra={"preset": "x"})[1]


def test_where_all_writers_are_chinese_the_button_says_it_in_chinese(press: Press, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "common_language", lambda: "zh")
    with TeacherServer() as teacher:
        fields = {"host": teacher.base_url, "extra": {"model": MODEL}}
        assert re.fullmatch(rf"{MODEL} 有回答：输入 \d+ 词元，输出 \d+ 词元。", press("teacher", **fields, password=KEY)[1])
        assert press("teacher", **fields, password="sk-wrong")[1].startswith("教师不接受这个密钥：请在 Airflow 的连接中更换。\n401: ")
    assert press("stackexchange")[1] == "没有要读取的账号。请填写 Account：站点和用户编号，如 cooking/12345。"


def test_no_credit_and_a_model_that_thinks_are_said(press: Press) -> None:
    with TeacherServer(TeacherScript(fault=lambda _: "quota")) as teacher:
        assert "quota" in press("teacher", host=teacher.base_url, password=KEY, extra={"model": MODEL})[1]
    with TeacherServer(TeacherScript(thoughts="well let me see")) as teacher:
        fields = {"host": teacher.base_url, "password": KEY}
        works, words = press("teacher", **fields, extra={"model": MODEL})
        assert not works and "it thinks first" in words
        assert press("teacher", **fields, extra={"model": MODEL, "preset": "dashscope"})[0]


def test_a_stored_secret_is_not_sent_to_an_address_nobody_confirmed(press: Press, home: Home) -> None:
    fields = {"host": "https://teacher.invalid/v1", "password": KEY}
    works, words = press("teacher", **fields)
    assert not works and "nothing was sent" in words
    assert "nothing was sent" in press("zhihu", host="https://site.invalid", password=COOKIE, extra={"account": "a"})[1]
    trust("teacher", fields["host"], home)
    assert "cannot be reached" in press("teacher", **fields)[1]


def test_stack_exchange_says_what_is_left_of_the_day(press: Press) -> None:
    with Api([item(number) for number in range(3)]) as api:
        works, words = press("stackexchange", host=api.url, extra={"account": "stackoverflow/22656"})
    assert works and words.endswith("answers of stackoverflow/22656 can be read. 200 requests are left today.")
    assert press("stackexchange")[1] == "There is no account to ask for. Write one under Account: site and user id, like cooking/12345."


@pytest.mark.parametrize("kind", ["http", "zhihu", "teacher"])
def test_a_task_reads_the_same_fields_whatever_the_type(home: Home, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(home.path))
    fields = {"conn_type": kind, "host": "http://127.0.0.1:8901/v1", "login": "Mozilla/5.0", "password": "secret"}
    monkeypatch.setenv("AIRFLOW_CONN_ANY", json.dumps(fields))
    assert teacher_endpoint("any").key.get_secret_value() == "secret"
    assert site_access(Source(kind="zhihu", account="a", connection="any"))["cookie"] == "secret"
