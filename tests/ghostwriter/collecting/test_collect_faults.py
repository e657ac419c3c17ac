"""Collecting from a real HTTP server that plays every fault: each has its name, and nothing that came before is lost."""

import socket
import time
from email.utils import formatdate
from typing import Any

import pytest

from ghostwriter.collecting.collect import collect
from ghostwriter.collecting.export import export_rows
from ghostwriter.collecting.sources import errors
from ghostwriter.collecting.sources.errors import SourceFailure
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.collect_case import CHALLENGE, ids, run
from tests.zhihu_site import COOKIE, Fault, FaultySite, answer, answers, cut, drip, error, page, reset, zipped

CAPTCHA = "<html><head><title>安全验证 - 知乎</title></head><body><div class='Unhuman-captcha'></div></body></html>"


STOPS: list[tuple[str, Fault]] = [
    ("auth_expired", error(401, code=100, name="AuthenticationInvalidRequest", message="ERR_LOGIN_TICKET_EXPIRED")),
    ("auth_expired", error(401, code=100, name="AuthenticationInvalidRequest", message="ERR_TICKET_NOT_EXIST")),
    ("auth_missing", error(401, code=101, name="AuthenticationError", message="身份未经过验证")),
    ("auth_missing", page(401, '{"code":101,"name":"AuthenticationError","message":"ZERR_NOT_LOGIN"}')),
    ("signature_required", error(403, code=10003, message="请求参数异常，请升级客户端后重试。")),
    ("signature_required", error(403, message="10002:请求参数异常，请升级客户端后重试。")),
    ("signature_required", page(403, CHALLENGE)),
    (
        "unhuman_verification",
        error(403, need_login=True, redirect="https://www.zhihu.com/account/unhuman", code=40352, message="系统监测到"),
    ),
    ("need_login", error(403, need_login=True, code=40353, message="请您登录后查看更多专业优质内容。")),
    ("need_login", error(200, need_login=True, code=40353, message="请您登录后查看更多专业优质内容。")),
    ("need_login", error(403, need_login=True, code=49999, message="新的提示")),
    ("need_login", page(302, "", Location="/signin?next=%2F")),
    ("need_login", page(200, '<html><title>登录 - 知乎</title><div class="SignContainer"></div></html>')),
    ("risk_blocked", error(403, code=40362, message="您当前请求存在异常，暂时限制本次访问。")),
    ("risk_blocked", page(403, "<html>Forbidden</html>")),
    ("captcha_html", page(200, CAPTCHA)),
    ("not_found", error(404, code=4041, message="资源不存在")),
    ("not_found", page(410, "")),
    ("account_gone", error(200, code=310000, name="AccountDestroyError", message="该账号已注销")),
    ("bad_request", error(422, code=4000, message="参数异常，无法获取内容")),
    ("shape_changed", page(200, '{"data": [], "paging": {}}')),
    ("shape_changed", page(200, "[1, 2]")),
    ("unknown_error", error(200, code=77_777, message="从没见过")),
    ("unknown_error", page(302, "", Location="https://elsewhere.example/")),
    ("unknown_error", page(200, "<html><title>Maintenance</title></html>")),
]


@pytest.mark.parametrize(("code", "fault"), STOPS, ids=lambda value: value if isinstance(value, str) else "")
def test_after_a_stop_no_further_request_is_made_and_all_before_is_kept(writer: Writer, home: Home, code: str, fault: Fault) -> None:
    with FaultySite(answers(60)) as site:
        site.script = [None, fault]
        with pytest.raises(SourceFailure) as raised:
            run(writer, home, site)
        assert (raised.value.code, site.offsets) == (code, [0, 20])
        assert not raised.value.retryable
        assert "Kept: 20 answers in the archive, 20 of them new or changed in this run." in str(raised.value)
        assert len(ids(home)) == 20
        run(writer, home, site)
    assert site.offsets == [0, 20, 20, 40]
    assert len(ids(home)) == 60


RETRIED: list[tuple[str, Fault, int]] = [
    ("rate_limited", page(429, "slow down"), 4),
    ("server_error", page(502, "<html>openresty</html>"), 4),
    ("server_error", error(500, code=10003, message="by status first"), 4),
    ("network_error", reset(), 4),
    ("truncated_json", cut(), 4),
    ("truncated_json", page(200, '{"paging": {"is_end": fal'), 4),
    ("empty_body", page(200, ""), 2),
]


@pytest.mark.parametrize(("code", "fault", "tries"), RETRIED, ids=lambda value: str(value) if isinstance(value, str | int) else "")
def test_passing_troubles_are_retried_and_then_raised(writer: Writer, home: Home, code: str, fault: Fault, tries: int) -> None:
    with FaultySite(answers(60)) as site:
        site.script = [None] + [fault] * 10
        with pytest.raises(SourceFailure) as raised:
            run(writer, home, site)
        assert (raised.value.code, site.offsets) == (code, [0] + [20] * tries)
        assert raised.value.retryable is (code != "empty_body")
        site.script = [fault, None]
        run(writer, home, site)
    assert len(ids(home)) == 60


def test_odd_but_good_answers_are_good(writer: Writer, home: Home) -> None:
    with FaultySite(answers(60)) as site:
        query = {"offset": "20", "include": "data[*].content"}
        site.script = [drip(), zipped(site.page(query)), None]
        assert run(writer, home, site).known == 60
    assert site.offsets == [0, 20, 40]


@pytest.mark.parametrize("value", ["1", "date"])
def test_retry_after_is_obeyed_even_at_pace_0(writer: Writer, home: Home, value: str) -> None:
    with FaultySite(answers(3)) as site:
        site.script = [page(429, "{}", Retry_After="1" if value == "1" else formatdate(time.time() + 2, usegmt=True))]
        run(writer, home, site)
    first, second = site.record.seen
    assert second.began - first.began >= 0.9


def test_a_retry_after_of_hours_ends_the_run_at_once(writer: Writer, home: Home) -> None:
    with FaultySite(answers(3)) as site:
        site.script = [page(429, "", Retry_After="7200")]
        with pytest.raises(errors.RateLimited):
            run(writer, home, site)
    assert len(site.offsets) == 1


def test_a_list_that_repeats_itself_is_a_loop(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        first = site.page({"include": "data[*].content"})
        site.edit_page = lambda page: first
        with pytest.raises(errors.PaginationLoop):
            run(writer, home, site)
        assert site.offsets == [0, 20, 40, 60]
        site.edit_page = lambda page: page
        assert run(writer, home, site).known == 100
    assert site.offsets[4:] == [0, 20, 40, 60, 80], "after a loop everything is read again"


def test_a_list_of_ever_new_answers_is_a_loop(writer: Writer, home: Home) -> None:
    with FaultySite(answers(5)) as site:

        def endless(page: dict[str, Any]) -> dict[str, Any]:
            number = len(site.record.seen) * 20
            return {"paging": {**page["paging"], "is_end": False}, "data": [answer(number + step) for step in range(20)]}

        site.edit_page = endless
        with pytest.raises(errors.PaginationLoop):
            run(writer, home, site)
    assert len(site.offsets) == 51


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/api/v4/members/lao-cheng/answers?offset=20",
        "http://www.zhihu.com@evil.example/api/v4/members/lao-cheng/answers",
        "http://www.zhihu.com/logout",
        "http://www.zhihu.com:8080/api/v4/members/lao-cheng/answers",
        "file:///etc/passwd",
        "//evil.example/api/v4/members/lao-cheng/answers",
    ],
)
def test_a_next_link_to_elsewhere_is_refused_and_the_page_kept(writer: Writer, home: Home, address: str) -> None:
    with FaultySite(answers(60)) as site:
        site.edit_page = lambda page: {**page, "paging": {**page["paging"], "next": address}}
        with pytest.raises(errors.UnsafeNextUrl):
            run(writer, home, site)
    assert site.offsets == [0]
    assert len(ids(home)) == 20


def test_the_cookie_goes_to_no_other_host_and_nowhere_on_disk(writer: Writer, home: Home, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    with FaultySite(answers(60)) as other, FaultySite(answers(60)) as site:
        site.script = [None, page(302, COOKIE, Location=f"{other.url}/signin")]
        with pytest.raises(errors.NeedLogin):
            run(writer, home, site)
        site.script = [error(200, code=66_666, message=f"your cookie is {COOKIE}")]
        with pytest.raises(errors.UnknownError) as raised:
            run(writer, home, site)
        assert other.record.seen == []
    written = b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())
    for secret in ("secret-login-ticket", "secret-device"):
        assert secret not in str(raised.value) + repr(raised.value) + caplog.text
        assert secret.encode() not in written
    assert "66666" in str(raised.value)


def test_the_body_of_an_unknown_error_is_saved_without_tokens(writer: Writer, home: Home) -> None:
    with FaultySite(answers(3)) as site:
        site.script = [page(418, '{"session": "s3cr3t", "text": "茶壶"}')]
        with pytest.raises(errors.UnknownError) as raised:
            run(writer, home, site)
    saved = next((home.path / "errors").iterdir())
    assert str(saved) in str(raised.value)
    assert saved.read_text(encoding="utf-8") == '{"session": "[removed]", "text": "茶壶"}'


@pytest.mark.parametrize(
    ("cookie", "missing"),
    [("x=1", "no z_c0 and no d_c0 "), ("z_c0=a", "no d_c0 "), ("d_c0=a; z_c0=", "no z_c0 "), ("", "There is no cookie")],
)
def test_a_cookie_without_its_parts_is_said_before_the_first_request(writer: Writer, home: Home, cookie: str, missing: str) -> None:
    with FaultySite(answers(3)) as site, pytest.raises(errors.AuthMissing, match=missing):
        run(writer, home, site, cookie=cookie)
    assert site.record.seen == []


def test_a_rerun_within_the_hour_of_an_anti_bot_stop_warns_and_runs(writer: Writer, home: Home, caplog: pytest.LogCaptureFixture) -> None:
    with FaultySite(answers(3)) as site:
        site.script = [page(200, CAPTCHA)]
        with pytest.raises(errors.CaptchaHtml):
            run(writer, home, site)
        assert "the site stopped a run" not in caplog.text
        run(writer, home, site)
    assert "the site stopped a run 0 minutes ago (captcha_html)" in caplog.text
    assert len(ids(home)) == 3


def test_a_second_collection_of_the_same_writer_waits_its_turn(writer: Writer, home: Home) -> None:
    with FaultySite(answers(3)) as site:

        def collect_too(items: object) -> None:
            with pytest.raises(errors.AlreadyRunning):
                run(writer, home, site)

        site.moves[1] = collect_too
        assert run(writer, home, site).known == 3
    assert site.offsets == [0]


def test_an_unreachable_site_is_a_network_error(writer: Writer, home: Home) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(errors.NetworkError):
            collect(writer, home, cookie=COOKIE, site=f"http://127.0.0.1:{taken.getsockname()[1]}", pace=0)


def test_hostile_items_neither_crash_nor_lose_the_page(writer: Writer, either_database: Home) -> None:
    odd: list[Any] = [
        answer(20, content="长" * 100_000),
        answer(19, content="<div>" * 50_000 + "底" + "</div>" * 50_000),
        answer(18, content=None, excerpt=None, question=None, author=None, created_time=None, updated_time=None),
        answer(17, content="\ud83d 半个 \x00 表情", excerpt="\ud83d…", question={"id": "9" * 19, "title": "\ud800?"}),
        answer(16, content={"not": "text"}, question=[], author="?", created_time="x", voteup_count=10**30, reshipment_settings=5),
        answer(15, content="<table>" * 3_000 + "<b a=1>" * 3_000 + "<p>x</p>" * 3_000),
        answer(14, created_time=1e999, updated_time=-5, type="article"),
        answer(13, content="<p>" + "<b>" * 500 + "深" + "</b>" * 500),
        {"id": None}, {"id": ""}, {"id": "x" * 5_000}, {}, None, "text", 5,
        {"id": "1234567890123456789"},
    ]  # fmt: skip
    with FaultySite(odd + answers(12)) as site:
        site.hidden = -7
        report = run(writer, either_database, site)
        rows = {row["id"]: row for row in export_rows(either_database, "laocheng")}
        again = run(writer, either_database, site, full=True)
    assert (report.known, report.skipped_items, again.saved) == (21, 7, 0)
    assert len(rows["2000000020"]["text"]) == 100_000
    assert rows["2000000019"]["text"] == "底"
    assert (rows["2000000018"]["question"], rows["2000000018"]["flags"]) == (None, ["question_unavailable", "empty_content"])
    assert rows["2000000017"]["text"] == "\ufffd 半个 表情"
    assert rows["2000000014"]["flags"] == ["not_answer"]
    assert rows["1234567890123456789"]["created"] is None
