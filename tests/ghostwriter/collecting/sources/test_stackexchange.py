"""Stack Exchange's API 2.3, played by a local server that compresses, asks for pauses, and counts a quota."""

import gzip
import json
import time
from typing import Any

import pytest

from demo.site import Request, Response
from ghostwriter.collecting.collect import collect
from ghostwriter.collecting.export import export_rows
from ghostwriter.collecting.sources.errors import SourceFailure
from ghostwriter.collecting.sources.stackexchange import _record
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.zhihu_site import Fault, FaultySite

KEY = "app-key-that-is-secret"


def item(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "owner": {
            "user_id": 22656,
            "display_name": "Odessa",
            "profile_image": "https://i/x.png",
            "link": "https://stackoverflow.com/users/22656",
        },
        "answer_id": number,
        "question_id": 9_000 + number,
        "creation_date": 1_700_000_000 + number,
        "score": number,
        "content_license": "CC BY-SA 4.0",
        "title": f"Why &quot;{number}&quot; &amp; not less?",
        "body": f"<p>Because {number}.</p><pre><code>x = {number}\n</code></pre>",
    } | changes


def zipped(document: dict[str, Any], status: int = 200) -> Fault:
    return Fault(
        Response(status, gzip.compress(json.dumps(document).encode()), {"Content-Encoding": "gzip", "Content-Type": "application/json"})
    )


class Api(FaultySite):
    """The user's answers, a hundred a page, and titles of questions."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        super().__init__(items)
        self.wrapper: dict[str, Any] = {}
        self.always = self.api

    def api(self, request: Request) -> Fault:
        page = int(request.query["page"])
        if request.path == "/2.3/users/22656/answers":
            found: list[Any] = self.items[(page - 1) * 100 : page * 100]
        else:
            found = [{"question_id": int(number), "title": f"Title of {number}"} for number in request.path.rpartition("/")[2].split(";")]
        return zipped({"items": found, "has_more": page * 100 < len(self.items), "quota_max": 300, "quota_remaining": 200, **self.wrapper})

    @property
    def paths(self) -> list[str]:
        return [seen.request.path for seen in self.record.seen]


@pytest.fixture
def reader(writer: Writer) -> Writer:
    source = writer.source.model_copy(update={"kind": "stackexchange", "account": "stackoverflow/22656"})
    return writer.model_copy(update={"source": source})


def run(reader: Writer, home: Home, api: Api, **options: Any) -> Any:
    return collect(reader, home, **{"cookie": KEY, "site": api.url, "pace": 0, **options})


def test_all_pages_are_read_and_the_licence_is_kept(reader: Writer, home: Home) -> None:
    with Api([item(number) for number in range(230, 0, -1)]) as api:
        report = run(reader, home, api)
        again = run(reader, home, api)
    assert (report.known, report.site_total, report.requests) == (230, None, 3)
    assert (again.saved, again.requests) == (0, 2)
    query = api.record.seen[0].request.query
    assert {name: query[name] for name in ("site", "pagesize", "order", "sort", "filter", "page", "key")} == {
        "site": "stackoverflow", "pagesize": "100", "order": "desc", "sort": "creation", "filter": "withbody", "page": "1", "key": KEY,
    }  # fmt: skip
    first = next(export_rows(home, "laocheng"))
    assert first["question"] == 'Why "230" & not less?'
    assert first["text"] == "Because 230.\n```\nx = 230\n```"
    assert first["flags"] == []


def test_an_answer_without_a_link_is_at_its_owners_site() -> None:
    assert _record(item(7), {}).url == "https://stackoverflow.com/a/7"


def test_missing_titles_are_asked_for_a_hundred_at_a_time(reader: Writer, home: Home) -> None:
    with Api([item(number, title=None) for number in range(3, 0, -1)]) as api:
        report = run(reader, home, api)
    assert api.paths == ["/2.3/users/22656/answers", "/2.3/questions/9001;9002;9003"]
    assert report.requests == 2
    assert next(export_rows(home, "laocheng"))["question"] == "Title of 9003"


def test_backoff_is_obeyed_with_a_margin_even_at_pace_0(reader: Writer, home: Home) -> None:
    with Api([item(number) for number in range(150, 0, -1)]) as api:
        api.wrapper = {"backoff": 0.2}
        run(reader, home, api)
    first, second = api.record.seen
    assert second.began - first.began >= 2.2


def test_a_used_up_quota_ends_the_run_with_all_kept(reader: Writer, home: Home) -> None:
    with Api([item(number) for number in range(150, 0, -1)]) as api:
        api.wrapper = {"quota_remaining": 0}
        with pytest.raises(SourceFailure, match="quota of requests is used up") as raised:
            run(reader, home, api)
        assert (raised.value.code, len(api.record.seen)) == ("rate_limited", 1)
        api.wrapper = {"quota_remaining": -1}
        assert run(reader, home, api).known == 150


@pytest.mark.parametrize(
    ("error_id", "name", "code", "tries"),
    [
        (400, "bad_parameter", "bad_request", 1),
        (401, "access_token_required", "auth_missing", 1),
        (402, "invalid_access_token", "auth_expired", 1),
        (404, "no_method", "not_found", 1),
        (405, "key_required", "auth_missing", 1),
        (500, "internal_error", "server_error", 4),
        (503, "temporarily_unavailable", "server_error", 4),
        (999, "new", "unknown_error", 1),
    ],
)
def test_errors_are_told_apart_by_their_id(reader: Writer, home: Home, error_id: int, name: str, code: str, tries: int) -> None:
    with Api([item(1)]) as api:
        api.script = [zipped({"error_id": error_id, "error_name": name, "error_message": f"no good, {KEY}"}, 400)] * 5
        with pytest.raises(SourceFailure) as raised:
            run(reader, home, api)
    assert (raised.value.code, len(api.record.seen)) == (code, tries)
    assert KEY not in str(raised.value) + repr(raised.value)


def test_a_throttle_of_hours_ends_the_run_and_one_of_a_second_is_waited_for(reader: Writer, home: Home) -> None:
    def throttled(seconds: int) -> Fault:
        message = f"too many requests from this IP, more requests available in {seconds} seconds"
        return zipped({"error_id": 502, "error_name": "throttle_violation", "error_message": message}, 400)

    with Api([item(1)]) as api:
        api.script = [throttled(74268)]
        with pytest.raises(SourceFailure, match="74268 seconds") as raised:
            run(reader, home, api)
        assert (raised.value.code, len(api.record.seen)) == ("rate_limited", 1)
        api.script = [throttled(1)]
        began = time.monotonic()
        assert run(reader, home, api).known == 1
        assert time.monotonic() - began >= 1


def test_an_account_without_a_site_is_refused(reader: Writer, home: Home) -> None:
    wrong = reader.model_copy(update={"source": reader.source.model_copy(update={"account": "22656"})})
    with pytest.raises(SourceFailure, match="stackoverflow/22656"):
        collect(wrong, home)
