"""Probe: one request, and what can be said about its answer without any text or cookie, to be pasted into a report."""

from typing import Any

from ghostwriter.collecting.sources.cookies import parse_cookie
from ghostwriter.collecting.sources.errors import BadRequest, SourceFailure
from ghostwriter.collecting.sources.transport import Pacer
from ghostwriter.collecting.sources.zhihu import ZhihuSource
from ghostwriter.writer import Writer

Seen = dict[str, Any]


def probe(writer: Writer, *, cookie: str | None, site: str | None = None, user_agent: str | None = None) -> Seen:
    """Status, class, code, key names and item count of the first page. Raises AuthMissing before it when the cookie lacks a part."""
    if writer.source.kind != "zhihu":
        raise BadRequest(f'{writer.stem} reads from {writer.source.kind!r}; probe is for writers with kind = "zhihu".')
    source = ZhihuSource(writer.source.account, parse_cookie(cookie or ""), Pacer(0), user_agent=user_agent, site=site, retry=False)
    source.check()
    failure: SourceFailure | None = None
    document: Seen = {}
    try:
        document = source.document(0)
    except SourceFailure as error:
        failure = error
        document = source.last_document() or {}
    return _describe(document, failure, source)


def _describe(document: Seen, failure: SourceFailure | None, source: ZhihuSource) -> Seen:
    reply = source.last_reply
    data, paging = document.get("data"), document.get("paging")
    nested = document.get("error")
    error: Seen = nested if isinstance(nested, dict) else document
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    return {
        "requests": source.requests,
        "status": reply.status if reply else None,
        "content_type": reply.headers.get("content-type") if reply else None,
        "bytes": len(reply.body) if reply else None,
        "class": failure.code if failure else None,
        "code": error.get("code") if isinstance(error.get("code"), int) else None,
        "keys": sorted(document),
        "error_keys": sorted(nested) if isinstance(nested, dict) else [],
        "paging_keys": sorted(paging) if isinstance(paging, dict) else [],
        "item_keys": sorted({key for item in items for key in item}),
        "items": len(data) if isinstance(data, list) else None,
        "items_with_content": sum(bool(item.get("content")) for item in items),
        "is_end": paging.get("is_end") if isinstance(paging, dict) and isinstance(paging.get("is_end"), bool) else None,
        "totals": paging.get("totals") if isinstance(paging, dict) and isinstance(paging.get("totals"), int) else None,
    }
