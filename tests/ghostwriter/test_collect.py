"""Collecting from a real HTTP server that moves its list and plays every fault, into a real database."""

import json
import random
import socket
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from ghostwriter.archive import Answer, Crawl, Revision
from ghostwriter.collect import CollectReport, collect
from ghostwriter.database import open_database
from ghostwriter.export import export_rows
from ghostwriter.home import Home
from ghostwriter.sources import errors
from ghostwriter.sources.errors import SourceFailure
from ghostwriter.writer import Writer
from tests.zhihu_site import ACCOUNT, COOKIE, Fault, FaultySite, answer, answers, cut, drip, error, page, reset, zipped

CAPTCHA = "<html><head><title>安全验证 - 知乎</title></head><body><div class='Unhuman-captcha'></div></body></html>"
CHALLENGE = '<html><head><meta id="zh-zse-ck" content="004"><script src="https://static.zhihu.com/zse-ck/v4/ab.js"></script></head></html>'


def run(writer: Writer, home: Home, site: FaultySite, **options: Any) -> CollectReport:
    return collect(writer, home, **{"cookie": COOKIE, "site": site.url, "pace": 0, **options})


def ids(home: Home, *, flag: str | None = None) -> set[str]:
    return {row["id"] for row in export_rows(home, "laocheng") if flag is None or flag in row["flags"]}


def test_the_whole_list_is_read_page_by_page_over_one_connection(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(45)) as site:
        report = run(writer, either_database, site)
    assert site.offsets == [0, 20, 40]
    assert site.connections == 1
    assert site.record.most_in_flight == 1
    assert (report.saved, report.known, report.site_total, report.requests) == (45, 45, 45, 3)
    assert len(list(export_rows(either_database, "laocheng"))) == 45


def test_each_request_carries_the_browsers_headers_and_limit_20(writer: Writer, home: Home) -> None:
    with FaultySite(answers(3)) as site:
        run(writer, home, site, cookie=f"{COOKIE}\nUser-Agent: Mozilla/5.0 (X11) Test/1")
    sent = site.record.seen[0].request
    assert sent.path == f"/api/v4/members/{ACCOUNT}/answers"
    assert sent.query["limit"] == "20"
    assert sent.query["include"].startswith("data[*].is_normal")
    assert "paid_info" in sent.query["include"]
    assert sent.headers["user-agent"] == "Mozilla/5.0 (X11) Test/1"
    assert sent.headers["referer"] == f"{site.url}/people/{ACCOUNT}/answers"
    assert sent.headers["cookie"] == COOKIE


def test_only_is_end_ends_the_list_not_a_short_page(writer: Writer, home: Home) -> None:
    def shorten(page: dict[str, Any]) -> dict[str, Any]:
        return {**page, "data": page["data"][:19]} if len(page["data"]) == 20 else page

    with FaultySite(answers(45)) as site:
        site.edit_page = shorten
        report = run(writer, home, site)
    assert site.offsets == [0, 20, 40]
    assert report.known == 19 + 19 + 5


def test_a_page_with_more_than_20_items_and_repeated_ids_is_read(writer: Writer, home: Home) -> None:
    with FaultySite(answers(45)) as site:
        site.edit_page = lambda page: {**page, "data": page["data"] + site.items[20:23]} if page["paging"]["is_start"] else page
        report = run(writer, home, site)
    assert report.known == 45
    assert site.offsets == [0, 20, 40]


def test_empty_pages_in_the_middle_are_passed(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        site.edit_page = lambda page: {**page, "data": []} if page["data"][0]["id"] in (2_000_000_080, 2_000_000_060) else page
        with pytest.raises(errors.Incomplete):
            run(writer, home, site)
    assert site.offsets == [0, 20, 40, 60, 80]
    assert len(ids(home)) == 60


def test_five_empty_pages_in_a_row_end_the_list_without_marking_anything_gone(writer: Writer, home: Home) -> None:
    with FaultySite(answers(40)) as site:
        run(writer, home, site)
        site.edit_page = lambda page: {"paging": {**page["paging"], "is_end": False}, "data": page["data"]}
        del site.items[20:]
        site.hidden = 20
        report = run(writer, home, site, full=True)
    assert site.offsets == [0, 20, 0, 20, 40, 60, 80, 100]
    assert report.newly_gone == 0


def test_a_night_with_nothing_new_costs_two_requests(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, either_database, site)
        site.record.seen.clear()
        report = run(writer, either_database, site)
    assert site.offsets == [0, 20]
    assert (report.saved, report.requests) == (0, 2)


def test_a_night_reads_on_until_a_page_and_one_of_overlap_are_known(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.items[:0] = [answer(number) for number in range(125, 100, -1)]
        site.record.seen.clear()
        report = run(writer, home, site)
    assert site.offsets == [0, 20, 40, 60]
    assert (report.new, report.known) == (25, 125)


def test_an_edit_makes_a_revision(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(5)) as site:
        run(writer, either_database, site)
        site.items[2] = answer(3, content="<p>改了。</p>", updated_time=1_770_000_000)
        report = run(writer, either_database, site)
    assert (report.saved, report.changed, report.new) == (1, 1, 0)
    engine = open_database(either_database.database_url)
    with Session(engine) as session:
        old = session.scalars(select(Revision)).one()
        new = session.get_one(Answer, ("laocheng", "2000000003"))
    engine.dispose()
    assert (old.answer, old.updated) == ("2000000003", 1_760_010_800)
    assert "3 斤萝卜" in old.body
    assert (new.body, new.updated) == ("<p>改了。</p>", 1_770_000_000)


def test_an_edit_without_a_new_time_is_found_by_its_content(writer: Writer, home: Home) -> None:
    with FaultySite(answers(5)) as site:
        run(writer, home, site)
        site.items[0] = answer(5, content="<p>偷偷改了。</p>")
        assert run(writer, home, site).changed == 1


def test_other_image_hosts_and_counters_are_no_edit(writer: Writer, home: Home) -> None:
    picture = '<figure><img src="https://{}.zhimg.com/v2-ab_r.jpg?source={}" data-original="https://{}.zhimg.com/v2-ab_r.jpg"></figure>'
    with FaultySite([answer(1, content=picture.format("pic1", "a", "pica"))]) as site:
        run(writer, home, site)
        site.items[0] = answer(1, content=picture.format("picx", "b", "pic2"), comment_count=99)
        assert run(writer, home, site).saved == 0


def test_full_finds_edits_deep_in_the_list(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.items[90] = answer(10, content="<p>旧文新改。</p>", updated_time=1_770_000_000)
        assert run(writer, home, site).changed == 0
        assert run(writer, home, site, full=True).changed == 1


def test_an_answer_that_is_gone_is_marked_and_kept(writer: Writer, either_database: Home) -> None:
    with FaultySite(answers(60)) as site:
        run(writer, either_database, site)
        del site.items[50]
        report = run(writer, either_database, site, full=True)
    assert (report.newly_gone, report.gone, report.known) == (1, 1, 60)
    assert ids(either_database, flag="gone") == {"2000000010"}


def test_one_gone_from_the_pages_a_night_reads_is_marked_too(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        del site.items[5]
        report = run(writer, home, site)
    assert report.requests == 2
    assert ids(home, flag="gone") == {"2000000095"}


def test_one_that_comes_back_is_no_longer_gone(writer: Writer, home: Home) -> None:
    with FaultySite(answers(30)) as site:
        run(writer, home, site)
        taken = site.items.pop(3)
        run(writer, home, site)
        site.items.insert(3, taken)
        report = run(writer, home, site)
    assert (report.gone, report.saved) == (0, 0)
    assert ids(home, flag="gone") == set()


def test_an_answer_added_while_paging_is_found_by_reading_the_head_again(writer: Writer, home: Home) -> None:
    with FaultySite(answers(60)) as site:
        site.moves[2] = lambda items: items.insert(0, answer(61))
        report = run(writer, home, site)
    assert report.known == 61
    assert site.offsets == [0, 20, 40, 60, 0]


def test_an_answer_deleted_while_paging_loses_no_other(writer: Writer, home: Home) -> None:
    with FaultySite(answers(60)) as site:
        site.moves[2] = lambda items: items.pop(0)
        report = run(writer, home, site)
    assert site.offsets == [0, 20, 0, 40]
    assert ids(home) == {str(2_000_000_000 + number) for number in range(1, 61)}
    assert report.site_total == 59


def test_many_deleted_at_once_make_as_many_pages_read_again(writer: Writer, home: Home) -> None:
    def delete_25(items: list[dict[str, Any]]) -> None:
        del items[:25]

    with FaultySite(answers(100)) as site:
        site.moves[4] = delete_25
        run(writer, home, site)
    assert site.offsets == [0, 20, 40, 60, 40, 20]
    assert ids(home) == {str(2_000_000_000 + number) for number in range(1, 101)}


@pytest.mark.parametrize("seed", range(12))
def test_whatever_moves_every_answer_that_stayed_is_archived(writer: Writer, home: Home, seed: int) -> None:
    chance = random.Random(seed)
    with FaultySite(answers(130)) as site:
        added = iter(range(131, 200))

        def move(items: list[dict[str, Any]]) -> None:
            if chance.random() < 0.5:
                items.insert(0, answer(next(added)))
            else:
                del items[chance.randrange(len(items))]

        site.moves = {number: move for number in range(2, 8) if chance.random() < 0.6}
        run(writer, home, site)
        stayed = {str(item["id"]) for item in site.items}
    assert stayed <= ids(home)
    assert not stayed & ids(home, flag="gone")


def test_what_slid_back_and_was_pushed_on_again_is_found(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        site.moves[2] = lambda items: items.pop(3)
        site.moves[3] = lambda items: items.insert(0, answer(101))
        run(writer, home, site)
        assert site.offsets == [0, 20, 0, 20, 40, 60, 80, 0]
        assert {str(item["id"]) for item in site.items} <= ids(home)


def test_a_list_cut_below_half_of_its_count_marks_nothing_gone(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.edit_page = lambda page: {"paging": {"is_end": True, "totals": 100}, "data": []}
        with pytest.raises(errors.Incomplete, match="ended after 0 answers, the site says 100"):
            run(writer, home, site)
    assert ids(home, flag="gone") == set()


def test_a_count_that_flickers_does_not_multiply_the_requests(writer: Writer, home: Home) -> None:
    with FaultySite(answers(400)) as site:
        site.edit_page = lambda page: {**page, "paging": {**page["paging"], "totals": 400 - len(site.record.seen) % 2}}
        report = run(writer, home, site)
    assert report.known == 400
    assert len(site.offsets) < 20 + 50 + 10


def test_a_gap_within_the_tolerance_is_reported_and_one_beyond_it_fails(writer: Writer, home: Home) -> None:
    with FaultySite(answers(43)) as site:
        site.hidden = 2
        report = run(writer, home, site)
        assert "43 saved, site says 45 (hidden or deleted answers are counted there)" in report.statement
        site.hidden = 3
        with pytest.raises(errors.Incomplete) as raised:
            run(writer, home, site)
    assert "43 answers were found, the site says 46: more than 5% are missing." in str(raised.value)
    assert isinstance(raised.value.report, CollectReport)
    assert raised.value.report.known == 43


def test_a_site_that_gives_no_count_is_read_all_the_same(writer: Writer, home: Home) -> None:
    with FaultySite(answers(30)) as site:
        site.edit_page = lambda page: {**page, "paging": {"is_end": page["paging"]["is_end"]}}
        report = run(writer, home, site)
    assert (report.known, report.site_total) == (30, None)


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


def test_the_real_pages_are_archived_whole(writer: Writer, home: Home) -> None:
    folder = Path(__file__).parent / "fixtures" / "zhihu"
    pages = [
        json.loads((folder / name).read_text(encoding="utf-8")) for name in ("answer_list.redacted.json", "answer_list_2.redacted.json")
    ]
    pages[1]["paging"] |= {"is_end": True}
    with FaultySite([]) as site:
        site.edit_page = lambda page: pages[len(site.record.seen) - 1]
        with pytest.raises(errors.Incomplete):
            run(writer, home, site)
    rows = list(export_rows(home, "laocheng"))
    assert len(rows) == 38
    assert sum("no_repost" in row["flags"] for row in rows) == 23
    assert not any("foreign_author" in row["flags"] for row in rows)
    assert all(row["text"] and row["question"] and row["created"].endswith("+00:00") for row in rows)
    assert [row["created"] for row in rows] == sorted((row["created"] for row in rows), reverse=True)


def test_an_unfinished_crawl_goes_on_at_its_page_also_by_night(writer: Writer, home: Home) -> None:
    with FaultySite(answers(100)) as site:
        run(writer, home, site)
        site.items[:0] = [answer(number) for number in range(170, 100, -1)]
        site.record.seen.clear()
        site.script = [None, None, page(403, CHALLENGE)]
        with pytest.raises(errors.SignatureRequired):
            run(writer, home, site)
        run(writer, home, site)
    assert site.offsets == [0, 20, 40, 40, 60, 80, 100]
    assert len(ids(home)) == 170


def test_the_crawls_state_says_finished(writer: Writer, home: Home) -> None:
    with FaultySite(answers(30)) as site:
        run(writer, home, site)
        run(writer, home, site)
    engine = open_database(home.database_url)
    with Session(engine) as session:
        assert [(crawl.mode, crawl.state) for crawl in session.scalars(select(Crawl))] == [
            ("full", "finished"),
            ("incremental", "finished"),
        ]
    engine.dispose()
