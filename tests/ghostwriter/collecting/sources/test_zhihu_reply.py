"""The order in which a reply is judged. What each class does to a run is shown in test_collect."""

import json
from typing import Any

import pytest

from ghostwriter.collecting.sources.errors import SourceFailure
from ghostwriter.collecting.sources.transport import Reply
from ghostwriter.collecting.sources.zhihu_reply import judge_page

GOOD = {"paging": {"is_end": True}, "data": [{"id": 1, "content": ""}]}


def code(status: int, body: Any, **headers: str) -> str | None:
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    try:
        judge_page(Reply(status, headers, content))
    except SourceFailure as failure:
        return failure.code
    return None


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (429, {"error": {"code": 100}}, "rate_limited"),
        (503, {"error": {"code": 40353, "need_login": True}}, "server_error"),
        (200, GOOD, None),
        (200, b"\xef\xbb\xbf" + json.dumps(GOOD).encode(), None),
        (200, {**GOOD, "error": {"code": 40353, "need_login": True}}, "need_login"),
        (200, {**GOOD, "error": None, "code": 0}, None),
        (200, {**GOOD, "error": {}}, None),
        (403, {"error": {"code": 40352, "need_login": True}}, "unhuman_verification"),
        (403, {"error": {"code": 12345, "need_login": True}}, "need_login"),
        (403, {"error": {"code": 12345}}, "risk_blocked"),
        (403, {"code": "10003", "message": "升级"}, "signature_required"),
        (403, {"error": {"message": "10001:请求参数异常"}}, "signature_required"),
        (401, {"error": {"code": 100, "message": "请求头或参数封装错误"}}, "auth_expired"),
        (401, {"name": "AuthenticationError", "message": "ZERR_NOT_LOGIN", "code": 101}, "auth_missing"),
        (401, "", "auth_expired"),
        (404, "<html><a href='/signin?next=/'>登录</a></html>", "not_found"),
        (410, {}, "not_found"),
        (422, {"error": {"code": 4000}}, "bad_request"),
        (400, {}, "bad_request"),
        (200, {"error": {"code": 310000, "name": "AccountDestroyError"}}, "account_gone"),
        (200, {"error": "went wrong"}, "unknown_error"),
        (200, {"code": 7, "message": "?"}, "unknown_error"),
        (200, "", "empty_body"),
        (200, "  \n", "empty_body"),
        (204, "", "empty_body"),
        (403, "", "risk_blocked"),
        (200, '<meta id="zh-zse-ck" content="x">', "signature_required"),
        (200, "<html>Unhuman-captcha</html>", "captcha_html"),
        (200, "<form action='/signin'></form>", "need_login"),
        (200, "<html>hello</html>", "unknown_error"),
        (200, json.dumps(GOOD)[:-3], "truncated_json"),
        (200, '{"paging": nope}', "truncated_json"),
        (200, 'ing": 1}', "truncated_json"),
        (200, "[" * 100_000, "truncated_json"),
        (200, "null", "shape_changed"),
        (200, {}, "shape_changed"),
        (200, {**GOOD, "data": {}}, "shape_changed"),
        (200, {**GOOD, "data": [1, None, {"id": None}]}, "shape_changed"),
        (200, {**GOOD, "data": [{"id": 1}, {"id": 2}]}, "shape_changed"),
        (200, {**GOOD, "data": [{"id": 1}, {"id": 2, "content": "x"}]}, None),
        (200, {**GOOD, "data": [{"id": 1, "content": None}]}, None),
        (200, {**GOOD, "data": [{"id": number, "content": None} for number in range(20)]}, "shape_changed"),
        (200, {**GOOD, "paging": {"is_end": "false"}}, "shape_changed"),
        (200, {"data": []}, "shape_changed"),
        (200, {**GOOD, "data": []}, None),
    ],
)
def test_a_reply_is_judged(status: int, body: Any, expected: str | None) -> None:
    assert code(status, body) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/signin?next=%2F", "need_login"),
        ("https://www.zhihu.com/account/unhuman?type=U", "unhuman_verification"),
        ("https://a.com/", "unknown_error"),
        ("", "unknown_error"),
    ],
)
def test_redirects_are_judged_and_not_followed(location: str, expected: str) -> None:
    assert code(302, "", location=location) == expected
    assert code(302, {}, location=location) == expected


def test_an_unknown_error_is_shown_verbatim() -> None:
    with pytest.raises(SourceFailure, match="status 200, code 77777: 从没见过"):
        judge_page(Reply(200, {}, json.dumps({"error": {"code": 77777, "message": "从没见过"}}).encode()))
