"""A small site that speaks Zhihu's member-answers JSON over HTTP: `python demo/site.py --corpus FILE --account TOKEN --port 8900`.

It serves an invented writer's corpus (JSONL) with the envelope, the paging and the quirks of the real pages: http links that
are re-encoded, a `next` even at the end, no content without `include=data[*].content`, and errors as JSON when the cookie
lacks its parts. `Site` also runs inside a test, on any port.
"""

import argparse
import hashlib
import html
import json
import signal
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

LARGEST_PAGE = 20
EXCERPT_CHARACTERS = 110
NEWS_SECONDS = 1.0
Json = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """A GET request: header names in lower case, the first value of each query parameter."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]

    @property
    def cookies(self) -> dict[str, str]:
        """The pairs of the Cookie header."""
        found: SimpleCookie = SimpleCookie()
        try:
            found.load(self.headers.get("cookie", ""))
        except CookieError:
            return {}
        return {name: morsel.value for name, morsel in found.items()}


@dataclass(frozen=True)
class Response:
    """What to send back; `headers` are added to Content-Type and Content-Length, or replace them."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(document: Any, status: int = 200) -> Response:
    """`document` as the site sends JSON."""
    return Response(status, json.dumps(document).encode(), {"Content-Type": "application/json; charset=utf-8"})


class Site:
    """The site of one account; `items` are its answers, newest first, and may change between requests."""

    handler: type["Handler"]

    def __init__(self, account: str, items: list[Json], port: int = 0, host: str = "127.0.0.1") -> None:
        self.account = account
        self.items = items
        self.hidden = 0
        """Answers that are counted but never listed."""
        self._server = Server((host, port), self.handler)
        self._server.site = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self._server.server_address[0]!s}:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()

    def respond(self, request: Request) -> Response:
        """The answer to one request."""
        if request.path == "/health":
            return json_response({"status": "ok"})
        refusal = self.refuse(request)
        if refusal:
            return refusal
        if request.path in (f"/api/v4/members/{self.account}/answers", f"/api/v4/members/{author_id(self.account)}/answers"):
            return json_response(self.page(request.query))
        if request.path == "/api/v4/me":
            return json_response({"uid": "1", "name": "reader"})
        return json_response({"error": {"code": 4041, "name": "NotFoundException", "message": "资源不存在"}}, 404)

    def refuse(self, request: Request) -> Response | None:
        """The error for a cookie without its login or device part."""
        if not request.cookies.get("z_c0"):
            return json_response({"error": {"code": 101, "name": "AuthenticationError", "message": "ZERR_NOT_LOGIN"}}, 401)
        if request.cookies["z_c0"] == "EXPIRED":
            return json_response(
                {"error": {"code": 100, "name": "AuthenticationInvalidRequest", "message": "ERR_LOGIN_TICKET_EXPIRED"}}, 401
            )
        if not request.cookies.get("d_c0"):
            return json_response({"error": {"message": "请求参数异常，请升级客户端后重试。", "code": 10003}}, 403)
        return None

    def page(self, query: Mapping[str, str]) -> Json:
        """One page of the list, in the real envelope."""
        offset, limit = _number(query.get("offset"), 0), min(_number(query.get("limit"), LARGEST_PAGE), LARGEST_PAGE)
        items = self.items[offset : offset + limit]
        if not ("data[*]" in query.get("include", "") and "content" in query["include"]):
            items = [{key: value for key, value in item.items() if key != "content"} for item in items]
        return {"paging": self.paging(query, offset, limit), "data": items}

    def paging(self, query: Mapping[str, str], offset: int, limit: int) -> Json:
        """The paging object: http links in two spellings, `next` also at the end, `previous` never below 0."""
        address = f"http://www.zhihu.com/api/v4/members/{quote(self.account)}/answers?"
        include, order = query.get("include", ""), query.get("sort_by", "created")

        def link(to: int) -> str:
            if offset == 0:
                escaped = quote(include, safe="").lower() if include.isascii() else quote(include, safe="")
                return f"{address}sort_by={order}&include={escaped}&limit={limit}&offset={to}"
            return address + urlencode({"include": include, "limit": limit, "offset": to, "sort_by": order})

        return {
            "is_end": offset + limit >= len(self.items),
            "totals": len(self.items) + self.hidden,
            "previous": link(max(0, offset - limit)),
            "is_start": offset == 0,
            "next": link(offset + limit),
        }


def load_corpus(path: Path, account: str, news: Path | None = None) -> list[Json]:
    """The items of a corpus file, and of `news` once it is there, newest first.

    Rows have id, question_id, question, answer, created, updated, reuse.
    """
    texts = [file.read_text(encoding="utf-8") for file in (path, news) if file and file.exists()]
    rows = [json.loads(line) for text in texts for line in text.splitlines() if line.strip()]
    return [item(row, account) for row in sorted(rows, key=lambda row: -row["created"])]


def item(row: Json, account: str) -> Json:
    """One answer as the list shows it."""
    plain = row["answer"].replace("\n", "")
    numbers = {"id": int(row["id"]), "created_time": row["created"], "updated_time": row["updated"]}
    return numbers | {
        "type": "answer",
        "answer_type": "normal",
        "url": f"http://www.zhihu.com/api/v4/answers/{row['id']}",
        "question": {
            "id": int(row["question_id"]),
            "type": "question",
            "question_type": "normal",
            "title": row["question"],
            "url": f"http://www.zhihu.com/api/v4/questions/{row['question_id']}",
            "created": row["created"] - 90_000,
            "updated_time": row["created"] - 90_000,
        },
        "author": author(account),
        "content": to_html(row["answer"]),
        "excerpt": plain if len(plain) <= EXCERPT_CHARACTERS else plain[:EXCERPT_CHARACTERS] + "…",
        "comment_count": int(row["id"]) % 90,
        "is_collapsed": False,
        "collapsed_by": "nobody",
        "collapse_reason": "",
        "is_copyable": row["reuse"] == "allowed",
        "is_normal": True,
        "is_labeled": False,
        "admin_closed_comment": False,
        "reshipment_settings": row["reuse"],
        "relationship": {"is_authorized": False, "is_author": False, "is_thanked": False, "is_nothelp": False, "voting": 0},
        "reward_info": {"is_rewardable": False, "reward_member_count": 0, "reward_total_money": 0, "can_open_reward": False, "tagline": ""},
        "suggest_edit": {"status": False, "reason": "", "title": "", "url": "", "unnormal_details": {}, "tip": ""},
        "can_comment": {"status": True, "reason": ""},
        "comment_permission": "all",
        "biz_ext": {"creation_relationship": {}},
        "mark_infos": [],
        "annotation_action": [],
        "same_video_answers": [],
        "extras": "",
        "thumbnail": "",
    }


def to_html(answer: str) -> str:
    """Plain text, paragraphs separated by blank lines, as the site's HTML."""
    paragraphs = [part.strip() for part in answer.split("\n\n") if part.strip()]
    marked = [(hashlib.sha256(part.encode()).hexdigest()[:8], html.escape(part, quote=False).replace("\n", "<br/>")) for part in paragraphs]
    return "".join(f'<p data-pid="{mark}">{text}</p>' for mark, text in marked)


def author(account: str) -> Json:
    """The author object of each item."""
    return {
        "id": author_id(account),
        "url_token": account,
        "name": account.replace("-", " ").title(),
        "headline": "",
        "gender": -1,
        "type": "people",
        "user_type": "people",
        "is_org": False,
        "is_advertiser": False,
        "badge": [],
        "badge_v2": {"title": "", "icon": "", "night_icon": "", "detail_badges": [], "merged_badges": []},
        "avatar_url": "https://pic1.zhimg.com/demo_l.jpg",
        "avatar_url_template": "https://pic1.zhimg.com/demo.jpg",
        "url": f"http://www.zhihu.com/api/v4/people/{author_id(account)}",
    }


def author_id(account: str) -> str:
    """A 32-digit hexadecimal id."""
    return hashlib.md5(account.encode(), usedforsecurity=False).hexdigest()


class Server(ThreadingHTTPServer):
    """One thread a connection."""

    daemon_threads = True
    site: Site


class Handler(BaseHTTPRequestHandler):
    """HTTP around `Site.respond`."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        """Answer with what the site says."""
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        server = self.server
        assert isinstance(server, Server)
        self.send(server.site.respond(Request(parts.path, query, {name.lower(): value for name, value in self.headers.items()})))

    def send(self, response: Response) -> None:
        """Write a response."""
        headers = {"Content-Type": "text/html; charset=utf-8", "Content-Length": str(len(response.body)), **response.headers}
        self.send_response(response.status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: a request line a page helps nobody, and a cookie never belongs in a log."""


Site.handler = Handler


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdigit() else default


def main() -> None:
    """Serve a corpus until Ctrl-C or SIGTERM."""
    parser = argparse.ArgumentParser(description="A local site that speaks Zhihu's member-answers JSON.")
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--news", type=Path, help="a second corpus, whose answers appear as soon as the file is there")
    parser.add_argument("--account", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900)
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())

    def items() -> list[Json]:
        return load_corpus(arguments.corpus, arguments.account, arguments.news)

    with Site(arguments.account, items(), arguments.port, arguments.host) as site:
        print(f"{site.url}/api/v4/members/{arguments.account}/answers: {len(site.items)} answers. Ctrl-C stops.", flush=True)
        while not stopped.wait(NEWS_SECONDS):
            site.items = items()


if __name__ == "__main__":
    main()
