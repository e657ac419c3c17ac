"""A user's answers on a Stack Exchange site, over API 2.3. The text is CC BY-SA: licence, owner and link are kept.

`backoff` is obeyed always, the daily quota too; errors are HTTP 400 with an `error_id`.
"""

import html
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from ghostwriter.collecting.page_sizes import PAGE_SIZES
from ghostwriter.collecting.sources import errors
from ghostwriter.collecting.sources.errors import BadRequest, RateLimited, SourceFailure
from ghostwriter.collecting.sources.record import Page, Record, storable
from ghostwriter.collecting.sources.transport import Pacer, Reply, Transport, retry_after
from ghostwriter.collecting.sources.zhihu import DEFAULT_USER_AGENT, checked_site
from ghostwriter.collecting.sources.zhihu_reply import has_id

SITE = "https://api.stackexchange.com"
BACKOFF_MARGIN_SECONDS = 2.0
MOST_IDS = 100
"""That one request may name."""
MOST_PAGES = 25
"""Of one list, that the site shows without a key."""
LIST = {"order": "desc", "sort": "creation", "filter": "withbody"}
BY_ERROR_ID: dict[int, type[SourceFailure]] = {
    400: errors.BadRequest,
    401: errors.AuthMissing,
    402: errors.AuthExpired,
    403: errors.AuthExpired,
    404: errors.NotFound,
    405: errors.AuthMissing,
    406: errors.AuthExpired,
    407: errors.RateLimited,
    500: errors.ServerError,
    502: errors.RateLimited,
    503: errors.ServerError,
}
Json = dict[str, Any]


class StackExchangeSource:
    """The answers of `SITE/USER ID`, newest first, a hundred a page."""

    page_size = PAGE_SIZES["stackexchange"]
    complete = True
    always_full = False

    def __init__(self, account: str, key: str | None, pacer: Pacer, *, site: str | None = None, retry: bool = True) -> None:
        name, _, user = account.rpartition("/")
        if not name or not user.isascii() or not user.isdigit():
            raise BadRequest(f"account = {account!r} is no Stack Exchange account: write it like stackoverflow/22656.")
        self._name, self._user, self._key = name, user, (key or "").strip()
        self._pacer = pacer
        self._quota: int | None = None
        self._backoff = 0.0
        headers = {"User-Agent": DEFAULT_USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
        self._transport = Transport(checked_site(site or SITE), headers, pacer, retry=retry)

    @property
    def requests(self) -> int:
        """HTTP requests made so far."""
        return self._transport.requests

    @property
    def quota(self) -> int | None:
        """Requests left today by the site's last reply."""
        return self._quota

    def check(self) -> None:
        """A key is optional."""

    def page(self, offset: int) -> Page:
        """The page that starts at `offset`. Raises SourceFailure."""
        document = self._get(f"/2.3/users/{self._user}/answers", LIST | {"page": offset // self.page_size + 1})
        items = _answers(document)
        titles = self._titles([item for item in items if not item.get("title")])
        return Page(
            records=tuple(_record(item, titles) for item in items),
            is_end=not document["has_more"],
            total=document["total"] if isinstance(document.get("total"), int) else None,
            skipped=len(document["items"]) - len(items),
        )

    def answers_to(self, questions: Sequence[str]) -> list[Record]:
        """All answers to up to a hundred questions (ids) but the account's own. Raises SourceFailure.

        What lies beyond the 25th page, 2,500 answers, is left out.
        """
        records: dict[str, Record] = {}
        for page in range(1, MOST_PAGES + 1):
            document = self._get(f"/2.3/questions/{';'.join(questions)}/answers", LIST | {"page": page})
            records |= {record.id: record for record in (_record(item, {}) for item in _answers(document))}
            if not document["has_more"]:
                break
        return [record for record in records.values() if record.author_id != self._user]

    def error_body(self) -> str | None:
        """Its error messages say all there is."""
        return None

    def _titles(self, items: list[Json]) -> dict[str, str]:
        """Titles of the questions of answers that came without one: one more request for up to a hundred."""
        ids = sorted({str(item["question_id"]) for item in items if isinstance(item.get("question_id"), int)})
        if not ids:
            return {}
        try:
            found = self._get(f"/2.3/questions/{';'.join(ids)}", {"page": 1})["items"]
        except (errors.NotFound, errors.BadRequest):
            return {}
        return {str(item["question_id"]): item["title"] for item in found if isinstance(item, dict) and isinstance(item.get("title"), str)}

    def _get(self, path: str, query: Json) -> Json:
        self._obey_limits()
        full = query | {"site": self._name, "pagesize": self.page_size} | ({"key": self._key} if self._key else {})
        try:
            document = self._transport.fetch(quote(path, safe="/;"), urlencode(full), judge)
        except SourceFailure as failure:
            failure.scrub(lambda text: text.replace(self._key, "[key]") if self._key else text)
            raise
        self._quota = document["quota_remaining"] if isinstance(document.get("quota_remaining"), int) else None
        backoff = document.get("backoff")
        self._backoff = float(backoff) + BACKOFF_MARGIN_SECONDS if isinstance(backoff, int | float) and backoff > 0 else 0.0
        return document

    def _obey_limits(self) -> None:
        """Wait for the backoff of the reply before; raise RateLimited when the day's quota is used up (-1 means unknown)."""
        if self._quota == 0:
            raise RateLimited("The day's quota of requests is used up. A key (the connection's password) raises it from 300 to 10,000.")
        if self._backoff:
            self._pacer.sleep(self._backoff)
            self._backoff = 0.0


def judge(reply: Reply) -> Json:
    """The wrapper object of a good reply. Raises the SourceFailure that any other reply is."""
    try:
        document = json.loads(reply.body.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and "error_id" in document:
        _raise_error(reply, document)
    if reply.status == 429:
        raise RateLimited("The site says there were too many requests (status 429).", retry_after=retry_after(reply))
    if reply.status >= 500:
        raise errors.ServerError(f"The site answered with status {reply.status}.", retry_after=retry_after(reply))
    if reply.status != 200:
        raise errors.UnknownError(f"The site answered with status {reply.status} and no error_id.")
    if document is None:
        raise errors.TruncatedJson(f"The site's answer is cut or no valid JSON ({len(reply.body)} bytes).")
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        raise errors.ShapeChanged("The site sent a page of another shape: `items` is no list.")
    return {"has_more": False} | document


def _answers(document: Json) -> list[Json]:
    """The items that can be told apart."""
    return [item for item in document["items"] if isinstance(item, dict) and has_id({"id": item.get("answer_id")})]


def _raise_error(reply: Reply, document: Json) -> None:
    error_id, message = document["error_id"], str(document.get("error_message") or "no message")
    kind = BY_ERROR_ID.get(error_id, errors.UnknownError) if isinstance(error_id, int) else errors.UnknownError
    seconds = re.search(r"in (\d+) seconds", message)
    wait = float(seconds[1]) if seconds else retry_after(reply)
    raise kind(f"Stack Exchange says: {document.get('error_name')} ({error_id}): {message}.", retry_after=wait)


def _record(item: Json, titles: dict[str, str]) -> Record:
    owner = item["owner"] if isinstance(item.get("owner"), dict) else {}
    question = str(item.get("question_id") or "")
    title = item.get("title") or titles.get(question)
    created = item.get("creation_date") if isinstance(item.get("creation_date"), int) else 0
    edited = item.get("last_edit_date")
    return Record(
        id=str(item["answer_id"]),
        question_id=question,
        question=storable(html.unescape(title)) if isinstance(title, str) else None,
        url=_address(item, owner),
        author_id=str(owner.get("user_id") or ""),
        body=storable(item["body"]) if isinstance(item.get("body"), str) else "",
        created=created or 0,
        updated=edited if isinstance(edited, int) else created or 0,
        votes=item["score"] if isinstance(item.get("score"), int) else None,
        reuse=str(item["content_license"]) if item.get("content_license") else None,
        flags=() if title else ("question_unavailable",),
        raw={key: value for key, value in item.items() if key != "owner"}
        | {"owner": {key: owner.get(key) for key in ("user_id", "display_name", "link")}},
    )


def _address(item: Json, owner: Json) -> str:
    """The answer's page; the API's own filters leave `link` out, so the host is that of the owner's page."""
    if isinstance(item.get("link"), str):
        return storable(item["link"])
    host = urlsplit(str(owner.get("link") or "")).netloc
    return storable(f"https://{host}/a/{item['answer_id']}") if host else ""
