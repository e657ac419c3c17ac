"""Zhihu's list of a member's answers, read with the person's own copied cookie: own URLs, one host, unsigned.

When the site wants a signature or a proof of a person, the run ends and says so; the way out is `ghostwriter.sources.har`.
"""

import json
import logging
import re
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ghostwriter.addresses import ip_address, is_link_local
from ghostwriter.collecting.page_sizes import PAGE_SIZES
from ghostwriter.collecting.sources.cookies import Cookie
from ghostwriter.collecting.sources.errors import AddressRefused, AuthMissing, SourceFailure
from ghostwriter.collecting.sources.record import Page
from ghostwriter.collecting.sources.transport import Pacer, Reply, Transport
from ghostwriter.collecting.sources.zhihu_answer import list_author, to_record
from ghostwriter.collecting.sources.zhihu_reply import has_id, judge_page

SITE = "https://www.zhihu.com"
PAGE_SIZE = PAGE_SIZES["zhihu"]
DEFAULT_USER_AGENT = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
INCLUDE = (
    "data[*].is_normal,admin_closed_comment,reward_info,is_collapsed,annotation_action,annotation_detail,collapse_reason,"
    "collapsed_by,suggest_edit,comment_count,can_comment,content,voteup_count,reshipment_settings,comment_permission,"
    "mark_infos,created_time,updated_time,review_info,question,excerpt,is_labeled,label_info,paid_info,"
    "relationship.is_authorized,voting,is_author,is_thanked,is_nothelp;data[*].author.badge[?(type=best_answerer)].topics"
)
LIST_PATH = re.compile(r"/api/v4/(?:members|people|org)/[^/]+/answers/?")
Json = dict[str, Any]

log = logging.getLogger(__name__)


class ZhihuSource:
    """The answers of `account` (the token in /people/TOKEN, or the 32-digit id), newest first."""

    page_size = PAGE_SIZE
    complete = True
    always_full = False

    def __init__(
        self, account: str, cookie: Cookie, pacer: Pacer, *, user_agent: str | None = None, site: str | None = None, retry: bool = True
    ) -> None:
        self.account = account
        self._cookie = cookie
        self._site = checked_site(site or SITE)
        self._user_agent = user_agent or cookie.user_agent
        self._author: str | None = None
        self.last_reply: Reply | None = None
        self._transport = Transport(self._site, self._headers(), pacer, retry=retry)

    @property
    def requests(self) -> int:
        """HTTP requests made so far."""
        return self._transport.requests

    def check(self) -> None:
        """Raise AuthMissing when the cookie lacks what a login needs; warn when its browser is not known."""
        if not self._cookie.pairs:
            raise AuthMissing("There is no cookie (z_c0 and d_c0 are needed): paste it, or name a file that holds it. No request was made.")
        missing = self._cookie.missing
        if missing:
            found = ", ".join(sorted(self._cookie.pairs)) or "nothing"
            raise AuthMissing(f"The cookie has no {' and no '.join(missing)} (found: {found}). No request was made.")
        if not self._user_agent:
            log.warning(
                "Warning: the cookie comes without its browser's User-Agent; a default one is sent. Add a line `User-Agent: ...` to it."
            )

    def page(self, offset: int) -> Page:
        """The page at `offset`. Raises SourceFailure."""
        document = self.document(offset)
        items = [item for item in document["data"] if has_id(item)]
        self._author = self._author or list_author(items, self.account)
        paging = document["paging"]
        return Page(
            records=tuple(to_record(item, self._author) for item in items),
            is_end=paging["is_end"],
            total=_total(paging.get("totals")),
            skipped=len(document["data"]) - len(items),
            unsafe_next=None if paging["is_end"] or self._is_safe(paging.get("next")) else str(paging["next"]),
        )

    def document(self, offset: int) -> Json:
        """The JSON of the page at `offset`, its shape checked. Raises SourceFailure."""
        query = urlencode({"include": INCLUDE, "offset": offset, "limit": PAGE_SIZE, "sort_by": "created"})
        try:
            return self._transport.fetch(f"/api/v4/members/{quote(self.account, safe='')}/answers", query, self._judge)
        except SourceFailure as failure:
            failure.scrub(self._cookie.scrub)
            raise

    def last_document(self) -> Json | None:
        """The last reply as a JSON object, whatever it says; None when it is none."""
        try:
            document = json.loads(self.last_reply.body.decode("utf-8-sig", errors="replace")) if self.last_reply else None
        except (ValueError, RecursionError):
            return None
        return document if isinstance(document, dict) else None

    def error_body(self) -> str | None:
        """The last reply as text, without cookies and tokens: for the report of an unknown error."""
        if self.last_reply is None:
            return None
        text = self._cookie.scrub(self.last_reply.body.decode("utf-8", errors="replace"))
        return re.sub(r"((?:session|token|ticket|sign|captcha)\w*(?:=|\"\s*:\s*\"))[^&\"\s]+", r"\1[removed]", text, flags=re.IGNORECASE)

    def _judge(self, reply: Reply) -> Json:
        self.last_reply = reply
        return judge_page(reply)

    def _headers(self) -> dict[str, str | bytes]:
        return {
            "User-Agent": (self._user_agent or DEFAULT_USER_AGENT).encode("utf-8"),
            "Accept": "application/json, text/plain, */*",
            "Accept-Encoding": "gzip, deflate",
            "Accept-Language": "zh-CN,zh;q=0.9,en;q=0.8",
            "Referer": f"{self._site}/people/{quote(self.account, safe='')}/answers",
            "x-requested-with": "fetch",
            "x-api-version": "3.0.91",
            "Cookie": self._cookie.header,
        }

    def _is_safe(self, next_url: Any) -> bool:
        """Whether the page's own link leads to this list; it is only looked at, never requested."""
        if not isinstance(next_url, str) or not next_url:
            return True
        try:
            parts = urlsplit(next_url)
            host = (parts.hostname or "").rstrip("."), parts.port
        except ValueError:
            return False
        ours = urlsplit(self._site)
        known = {("www.zhihu.com", None), ("www.zhihu.com", 80), ("www.zhihu.com", 443), (ours.hostname, ours.port), ("", None)}
        return parts.scheme in ("http", "https", "") and "@" not in parts.netloc and host in known and bool(LIST_PATH.fullmatch(parts.path))


def checked_site(site: str) -> str:
    """`site` if the cookie may be sent there: Zhihu over https, or a server of one's own (this machine, a private address, a bare name)."""
    parts = urlsplit(site if "://" in site else f"http://{site}")
    host = parts.hostname or ""
    if not is_link_local(host) and (parts.scheme == "https" or (parts.scheme == "http" and _is_near(host))):
        return f"{parts.scheme}://{parts.netloc}"
    raise AddressRefused(f"{site!r} is no address a cookie may be sent to: https, or http to a server on this machine or network.")


def _is_near(host: str) -> bool:
    address = ip_address(host)
    return address.is_private if address else bool(host) and "." not in host


def _total(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
