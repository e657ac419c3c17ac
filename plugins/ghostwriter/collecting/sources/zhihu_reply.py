"""Read one reply of Zhihu: the page's data, or the failure it stands for.

Decided in this order: 429 and 5xx by status; JSON whatever the content type; an error object, nested or at top level, even
beside data; then what is no JSON; last, the shape of a page.
"""

import json
import re
from typing import Any, NoReturn

from ghostwriter.collecting.sources import errors
from ghostwriter.collecting.sources.errors import SourceFailure
from ghostwriter.collecting.sources.transport import Reply, retry_after

Json = dict[str, Any]
Failure = type[SourceFailure]

BY_CODE: dict[int, Failure] = {
    100: errors.AuthExpired,
    101: errors.AuthMissing,
    4000: errors.BadRequest,
    4041: errors.NotFound,
    10001: errors.SignatureRequired,
    10002: errors.SignatureRequired,
    10003: errors.SignatureRequired,
    40352: errors.UnhumanVerification,
    40353: errors.NeedLogin,
    40362: errors.RiskBlocked,
    310000: errors.AccountGone,
}
BY_NAME: dict[str, Failure] = {
    "AuthenticationInvalidRequest": errors.AuthExpired,
    "AuthenticationError": errors.AuthMissing,
    "AccountDestroyError": errors.AccountGone,
    "NotFoundException": errors.NotFound,
}
BY_STATUS: dict[int, Failure] = {
    400: errors.BadRequest,
    401: errors.AuthExpired,
    403: errors.RiskBlocked,
    404: errors.NotFound,
    410: errors.NotFound,
    422: errors.BadRequest,
}
LONGEST_ID = 200
WHOLE_PAGE_OF_NULLS = 5
"""So many items without any body are a changed shape, not a few odd answers."""


def judge_page(reply: Reply) -> Json:
    """The document of a page of answers. Raises the SourceFailure that the reply is."""
    document = judge(reply)
    problem = shape_problem(document)
    if problem:
        raise errors.ShapeChanged(f"The site sent a page of another shape: {problem}.")
    return document


def judge(reply: Reply) -> Json:
    """The JSON object in a good reply. Raises the SourceFailure that any other reply is."""
    if reply.status == 429:
        wait = retry_after(reply)
        asked = f" and asks to wait {wait:.0f} s" if wait is not None else ""
        raise errors.RateLimited(f"The site says there were too many requests (status 429){asked}.", retry_after=wait)
    if reply.status >= 500:
        raise errors.ServerError(f"The site answered with status {reply.status}.", retry_after=retry_after(reply))
    try:
        document = json.loads(reply.body.decode("utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        _raise_no_json(reply)
    if isinstance(document, dict):
        _raise_error_object(reply.status, document)
    if 300 <= reply.status < 400:
        _raise_redirect(reply.status, reply.headers.get("location", ""))
    if reply.status != 200:
        _raise_status(reply)
    if not isinstance(document, dict):
        raise errors.ShapeChanged(f"The site sent a JSON {type(document).__name__} in place of an object.")
    return document


def shape_problem(document: Json) -> str | None:
    """What is wrong with the shape of a page of answers; None when it is as known."""
    data, paging = document.get("data"), document.get("paging")
    if not isinstance(data, list):
        return "`data` is no list"
    if not isinstance(paging, dict) or not isinstance(paging.get("is_end"), bool):
        return "`paging.is_end` is no boolean"
    items = [item for item in data if has_id(item)]
    if data and not items:
        return "no item of `data` is an object with an id"
    if items and not any("content" in item for item in items):
        return "no item has `content`"
    if len(items) >= WHOLE_PAGE_OF_NULLS and all(item.get("content") is None for item in items):
        return f"all {len(items)} items have null `content`"
    return None


def has_id(item: Any) -> bool:
    """Whether `item` is an object whose id is a number or a string of sensible length."""
    identity = item.get("id") if isinstance(item, dict) else None
    return isinstance(identity, int | str) and not isinstance(identity, bool) and 0 < len(str(identity).strip()) <= LONGEST_ID


def _raise_error_object(status: int, document: Json) -> None:
    nested = document.get("error")
    if isinstance(nested, str) and nested:
        nested = {"message": nested}
    found = nested if isinstance(nested, dict) and nested else document
    code, message, name = _code(found), str(found.get("message") or ""), str(found.get("name") or "")
    is_error = found is nested or code not in (None, 0, 200) or name in BY_NAME or found.get("need_login") is True
    is_error = is_error or (status >= 400 and bool(message))
    if not is_error:
        return
    kind = BY_CODE.get(code or 0) or BY_NAME.get(name)
    if kind is None and found.get("need_login") is True:
        kind = errors.NeedLogin
    kind = kind or BY_STATUS.get(status) or errors.UnknownError
    raise kind(f"The site answered with status {status}, code {code if code is not None else 'none'}: {message or name or 'no message'!s}")


def _code(found: Json) -> int | None:
    """The error code; some bodies hold it only at the start of the message, like `10002:...`."""
    code = found.get("code")
    if isinstance(code, int) and not isinstance(code, bool):
        return code
    text = code if isinstance(code, str) else str(found.get("message") or "")
    start = re.match(r"\s*(\d{3,6})\s*(?::|：|$)", text)
    return int(start[1]) if start else None


def _raise_no_json(reply: Reply) -> NoReturn:
    status = reply.status
    text = reply.body.decode("utf-8-sig", errors="replace").strip()
    if 300 <= status < 400:
        _raise_redirect(status, reply.headers.get("location", ""))
    if not text and status < 300:
        raise errors.EmptyBody(f"The site sent an empty answer (status {status}).")
    if "zh-zse-ck" in text or "/zse-ck/" in text:
        raise errors.SignatureRequired(f"The site sent its browser challenge (status {status}).")
    if "安全验证" in text or "unhuman" in text.lower():
        raise errors.CaptchaHtml(f"The site sent a captcha page (status {status}).")
    if status < 300 and re.search(r"SignContainer|SignFlow|/signin\?next|<form[^>]*(?:signin|login)|<title>[^<]*登录", text, re.IGNORECASE):
        raise errors.NeedLogin(f"The site sent its sign-in page (status {status}).")
    if status < 300 and not text.startswith("<"):
        raise errors.TruncatedJson(f"The site's answer is cut or no valid JSON (status {status}, {len(reply.body)} bytes).")
    _raise_status(reply)


def _raise_redirect(status: int, location: str) -> NoReturn:
    if "unhuman" in location:
        raise errors.UnhumanVerification(f"The site sends us to its check for robots (status {status}).")
    if re.search(r"/(signin|signup|login|account)\b", location):
        raise errors.NeedLogin(f"The site sends us to its sign-in page (status {status}).")
    elsewhere = re.sub(r"[?#].*", "", location)[:100] or "nowhere"
    raise errors.UnknownError(f"The site sends us elsewhere (status {status}, to {elsewhere}); redirects are not followed.")


def _raise_status(reply: Reply) -> NoReturn:
    kind = BY_STATUS.get(reply.status, errors.UnknownError)
    content = reply.headers.get("content-type", "no content type")
    raise kind(f"The site answered with status {reply.status} and something that is no known JSON ({content}, {len(reply.body)} bytes).")
