"""Messages through Airflow's own notifiers, to a real mail server and a real webhook."""

import json
import socket
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk import DAG, BaseHook
from airflow.sdk.exceptions import TaskAwaitingInput

from ghostwriter.errors import BudgetExceeded
from ghostwriter.tasks.approval import approval
from ghostwriter.tasks.notify import on_failure, on_new_champion, on_waiting, tell
from ghostwriter.teacher.month import MonthSpent
from ghostwriter.writer import Writer
from ghostwriter.writer_settings import Notify
from tests.distill_case import make_writer
from tests.e2e.inboxes import WEBHOOK_SECRET, Inboxes, open_inboxes

PROMOTED = "Promote: better than base (style +1.13 [+0.98, +1.27]) and within every limit, on 200 questions."
SAID_IN_CHINESE = "晋级：优于原模型（文风 +1.13 [+0.98, +1.27]），各项限制都满足，共 200 个问题。"
LINK = "http://airflow/dags/tester_train/runs/1/tasks/train"


@pytest.fixture
def inboxes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inboxes]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open_inboxes(port) as opened:
        plain = {"from_email": "airflow@example.org", "disable_ssl": True, "disable_tls": True}
        post = {"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": plain}
        monkeypatch.setenv("AIRFLOW_CONN_POST", json.dumps(post))
        hook = {"conn_type": "http", "host": opened.hook_url, "password": WEBHOOK_SECRET}
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps(hook))
        yield opened


def writer_with(**notify: Any) -> Writer:
    return make_writer().model_copy(update={"notify": Notify(**notify)})


def context(told: dict[tuple[str, str], object], **params: str) -> Any:
    """What Airflow hands to a callback of the task `train`, as far as the messages look at it."""

    def xcom_pull(*, task_ids: str, key: str = "return_value", map_indexes: int = -1) -> object:
        return told.get((task_ids, key))

    ti = SimpleNamespace(task_id="train", map_index=-1, log_url=LINK, xcom_pull=xcom_pull)
    conn = SimpleNamespace(get=BaseHook.get_connection)
    return {"ti": ti, "dag": DAG("tester_train", schedule=None, dag_display_name="Tess <Ter>: 3 train"), "params": params, "conn": conn}


def test_a_failure_is_told_by_mail_and_webhook_in_the_words_for_the_person(inboxes: Inboxes) -> None:
    writer = writer_with(mail="post", to=("owner@example.org",), webhook="hook")
    for message in on_failure(writer):
        message(context({("train", "problem"): "Free the disk & trigger it again."}))
    (mail,) = inboxes.mails
    assert (mail["Subject"], mail["To"], mail["From"]) == (
        "Tess <Ter>: 3 train: the task train failed.",
        "owner@example.org",
        "airflow@example.org",
    )
    page = mail.get_body(("html",))
    assert page and page.get_content().strip() == (
        f"<p>Tess &lt;Ter&gt;: 3 train: the task train failed.</p><p>Free the disk &amp; trigger it again.</p><p>{LINK}</p>"
    )
    text = f"Tess <Ter>: 3 train: the task train failed.\nFree the disk & trigger it again.\n{LINK}"
    assert inboxes.posts == [(f"/{WEBHOOK_SECRET}", {"text": text})]


def test_a_cap_that_was_reached_is_told_as_one(inboxes: Inboxes) -> None:
    (message,) = on_failure(writer_with(webhook="hook"))
    for code in (BudgetExceeded.code, MonthSpent.code, "teacher"):
        message(context({("train", "problem"): "Raise budget.cap.", ("train", "problem_code"): code}))
    firsts = [post["text"].splitlines()[0] for _, post in inboxes.posts]
    assert firsts == ["Tess <Ter>: 3 train: the task train reached its cap."] * 2 + ["Tess <Ter>: 3 train: the task train failed."]


def test_a_chinese_writers_messages_are_chinese(inboxes: Inboxes) -> None:
    writer = writer_with(webhook="hook").model_copy(update={"language": "zh"})
    told: dict[tuple[str, str], object] = {("train", "return_value"): "3", ("judge", "return_value"): {"summary": PROMOTED}}
    for message in (*on_failure(writer), *on_new_champion(writer), *on_waiting(writer)):
        message(context(told))
    (message,) = on_new_champion(writer)
    message(context({("train", "return_value"): "2"}, why="it loops (again)"))
    assert [post["text"].splitlines()[:2] for _, post in inboxes.posts] == [
        ["Tess <Ter>: 3 train: 任务 train 失败了。", "原因见日志。"],
        ["Tess Ter 的冠军现在是版本 3。", SAID_IN_CHINESE],
        ["Tess Ter 的新版本等待你的批准。", SAID_IN_CHINESE],
        ["Tess Ter 的冠军现在是版本 2。", "it loops (again)"],
    ]


def test_what_a_chinese_writer_is_asked_to_approve_is_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    forms: list[dict[str, Any]] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: forms.append(detail))
    check = {"measure": "style", "passed": True, "figures": "style +1.13 [+0.98, +1.27]", "fault": ""}
    told = context({})
    told["task_instance"] = SimpleNamespace(id="1")
    with pytest.raises(TaskAwaitingInput):
        approval(make_writer("zh"), {"promote": True, "summary": PROMOTED, "gains": [check]}, "run").execute(told)
    assert forms[0]["body"] == f"{SAID_IN_CHINESE}\n\n- 是  文风：文风 +1.13 [+0.98, +1.27]"


def test_an_approval_that_waits_is_told_and_a_message_that_does_not_arrive_stops_nothing(
    inboxes: Inboxes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    verdict = {"promote": True, "summary": "Promote: better."}
    asked: list[str] = []
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **detail: asked.append(detail["subject"]))
    told = context({("judge", "return_value"): verdict})
    told["task_instance"] = SimpleNamespace(id="1")
    for webhook in ("hook", "nowhere"):
        with pytest.raises(TaskAwaitingInput):
            approval(writer_with(webhook=webhook), verdict, "run").execute(told)
    assert asked == ["Make this adapter the champion of Tess Ter?"] * 2
    assert [post["text"].splitlines()[:2] for _, post in inboxes.posts] == [
        ["A new version of Tess Ter waits for your word.", "Promote: better."]
    ]
    assert "The message to nowhere was not sent" in caplog.text


def test_a_failure_nobody_foresaw_is_told_without_its_words(inboxes: Inboxes) -> None:
    (message,) = on_failure(writer_with(webhook="hook"))
    message({**context({}), "exception": RuntimeError("https://user:sk-secret@teacher")})
    assert inboxes.posts[0][1]["text"].splitlines()[1] == "Its log says why."


def test_a_new_champion_is_told_with_the_verdict_and_a_roll_back_with_its_reason(inboxes: Inboxes) -> None:
    (message,) = on_new_champion(writer_with(webhook="hook"))
    promoted: dict[tuple[str, str], object] = {("train", "return_value"): "3", ("judge", "return_value"): {"summary": "Promote: better."}}
    message(context(promoted))
    message(context({("train", "return_value"): "2"}, why="it loops"))
    assert [post["text"].splitlines()[:2] for _, post in inboxes.posts] == [
        ["Version 3 is now the champion of Tess Ter.", "Promote: better."],
        ["Version 2 is now the champion of Tess Ter.", "it loops"],
    ]


def test_nobody_is_told_by_default() -> None:
    assert (on_failure(make_writer()), on_new_champion(make_writer())) == ([], [])


def test_what_no_task_says_is_told_as_it_stands(inboxes: Inboxes) -> None:
    writer = writer_with(mail="post", to=("owner@example.org",), webhook="hook")
    assert tell(writer, "tess@v7 cannot be served", "Rank <600> & {{ conn.get('hook').password }}.") == 2
    (mail,) = inboxes.mails
    page = mail.get_body(("html",))
    assert mail["Subject"] == "tess@v7 cannot be served"
    assert page and "Rank &lt;600&gt; &amp; {{ conn.get(&#39;hook&#39;).password }}." in page.get_content()
    assert inboxes.posts == [(f"/{WEBHOOK_SECRET}", {"text": "tess@v7 cannot be served\nRank <600> & {{ conn.get('hook').password }}."})]
    assert tell(make_writer().model_copy(update={"notify": None}), "a", "b") == 0
