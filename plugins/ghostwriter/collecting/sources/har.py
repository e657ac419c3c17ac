"""Pages of Zhihu's answers list out of a browser's recording (HAR), or out of a JSON file of such pages.

The way out when the site wants a signature: the browser makes the requests, this reads what it got. The cookies a HAR
holds are not looked at.
"""

import base64
import binascii
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ghostwriter.collecting.sources.errors import SourceFailure, SourceFileUnusable
from ghostwriter.collecting.sources.listed import ListedSource
from ghostwriter.collecting.sources.record import Record
from ghostwriter.collecting.sources.transport import Reply
from ghostwriter.collecting.sources.zhihu_answer import list_author, to_record
from ghostwriter.collecting.sources.zhihu_reply import has_id, judge_page

HOSTS = ("www.zhihu.com", "api.zhihu.com", "zhihu.com")
LIST_PATH = re.compile(r"/(?:api/v4/)?(?:members|people|org)/([^/]+)/answers/?")
EMBEDDED = re.compile(rb'<script[^>]*\bid="js-initialData"[^>]*>(.*?)</script>', re.DOTALL)
"""What a page brings along of the site's data: `initialState.entities` holds the first answers, seen so in public readers of it."""
HOW = (
    "Open the writer's answers page in your browser with the network tab open, scroll slowly to the end, "
    "then save all as HAR with content, and import that file."
)
Json = dict[str, Any]


def open_har(path: Path, account: str | None = None) -> ListedSource:
    """The answers in a recording; with `account`, only that account's. Raises SourceFileUnusable, or the site's own error."""
    skipped: Counter[str] = Counter()
    failures: list[SourceFailure] = []
    pages = []
    tokens: Counter[str] = Counter()
    for token, reply in _replies(_load(path), skipped):
        tokens[token] += 1
        if account and token and token.lower() != account.lower():
            continue
        try:
            pages.append(judge_page(reply))
        except SourceFailure as failure:
            failures.append(failure)
    if not pages:
        _raise_nothing_found(path, account, tokens, failures, skipped)
    records = _records(pages, account or tokens.most_common(1)[0][0])
    totals = [page["paging"]["totals"] for page in pages if isinstance(page["paging"].get("totals"), int)]
    skipped["items"] += sum(not has_id(item) for page in pages for item in page["data"])
    return ListedSource(records, total=totals[-1] if totals else None, skipped=skipped.total() + len(failures), complete=False)


def recorded_answers(path: Path) -> list[Record]:
    """Every answer that a recording holds, whoever wrote it: of question pages, say. Raises SourceFileUnusable when it holds none.

    They are looked for in all JSON that the site sent, and in what its pages embed, so no address needs to be known.
    """
    document = _load(path)
    log = document.get("log") if isinstance(document, dict) else None
    entries = log.get("entries") if isinstance(log, dict) else None
    replies = [_sent(entry) for entry in entries] if isinstance(entries, list) else [document]
    found = {str(item["id"]): to_record(item, None) for reply in replies for item in _answers_in(reply)}
    if not found:
        raise SourceFileUnusable(
            f"{path} holds no answers. Open questions in your browser, scroll through, and save all as HAR with content."
        )
    return list(found.values())


def _sent(entry: Any) -> Any:
    """The JSON that the site sent in one entry of a recording, as it is or in a page; None for anything else."""
    request = entry.get("request") if isinstance(entry, dict) else None
    url = request.get("url") if isinstance(request, dict) else None
    reply = _reply(entry) if isinstance(url, str) and _is_zhihu(_host(url)) else None
    if reply is None:
        return None
    embedded = EMBEDDED.search(reply.body)
    try:
        return _with_titles(json.loads(embedded[1])) if embedded else json.loads(reply.body)
    except (ValueError, RecursionError):
        return None


def _with_titles(page: Any) -> Any:
    """The answers a page begins with, each with its question's title, which stands in a table of its own there."""
    state = page.get("initialState") if isinstance(page, dict) else None
    entities = state.get("entities") if isinstance(state, dict) else None
    tables = [entities.get(name) if isinstance(entities, dict) else None for name in ("questions", "answers")]
    questions, answers = (table if isinstance(table, dict) else {} for table in tables)
    return [_page_answer(item, questions) for item in answers.values() if isinstance(item, dict)]


def _page_answer(item: Json, questions: Json) -> Json:
    """An item of a page as one of a list: keys are in another case there, and the kind is said by the table alone."""
    asked = item.get("question") if isinstance(item.get("question"), dict) else {"id": item.get("question")}
    question = questions.get(str(asked["id"])) if isinstance(asked, dict) and "id" in asked else None
    titled = {**question, **asked} if isinstance(question, dict) and isinstance(asked, dict) else asked
    return {**item, "type": "answer", "question": titled, "created_time": item.get("createdTime"), "updated_time": item.get("updatedTime")}


def _answers_in(value: Any) -> Iterator[Json]:
    """All objects that are answers with content, at whatever depth."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            if value.get("type") == "answer" and isinstance(value.get("content"), str) and has_id(value):
                yield value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _records(pages: list[Json], account: str) -> list[Record]:
    items = [item for page in pages for item in page["data"] if has_id(item)]
    author = list_author(items, account)
    records = {record.id: record for record in (to_record(item, author) for item in items)}
    return sorted(records.values(), key=lambda record: -record.created)


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes().decode("utf-8-sig", errors="replace"))
    except OSError as error:
        raise SourceFileUnusable(f"{path} cannot be read ({error.strerror}). {HOW}") from None
    except (ValueError, RecursionError):
        raise SourceFileUnusable(f"{path} is no JSON, so it is no whole HAR file. {HOW}") from None


def _replies(document: Any, skipped: Counter[str]) -> Iterator[tuple[str, Reply]]:
    """Account token and reply of each entry that is a page of a list of answers; the token is empty in a file of bare pages."""
    log = document.get("log") if isinstance(document, dict) else None
    if not isinstance(log, dict):
        yield from _bare_pages(document)
        return
    entries = log.get("entries")
    for entry in entries if isinstance(entries, list) else []:
        token = _token(entry)
        if token is None:
            continue
        reply = _reply(entry)
        if reply is None:
            skipped["no body"] += 1
        else:
            yield token, reply


def _bare_pages(document: Any) -> Iterator[tuple[str, Reply]]:
    """A page, a list of pages, or an object with `pages`: what a script in the browser's console saves."""
    pages = document.get("pages", [document]) if isinstance(document, dict) else document
    for page in pages if isinstance(pages, list) else []:
        if isinstance(page, dict) and "data" in page:
            yield "", Reply(200, {}, json.dumps(page).encode())


def _token(entry: Any) -> str | None:
    request = entry.get("request") if isinstance(entry, dict) else None
    url = request.get("url") if isinstance(request, dict) else None
    if not isinstance(url, str):
        return None
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return None
    found = LIST_PATH.fullmatch(parts.path)
    is_get = str(request.get("method", "GET") if isinstance(request, dict) else "GET").upper() == "GET"
    return unquote(found[1]) if found and is_get and _is_zhihu(host) else None


def _is_zhihu(host: str | None) -> bool:
    return host in HOSTS or host in ("127.0.0.1", "localhost")


def _reply(entry: Json) -> Reply | None:
    response = entry.get("response")
    content = response.get("content") if isinstance(response, dict) else None
    text = content.get("text") if isinstance(content, dict) else None
    if not isinstance(response, dict) or not isinstance(content, dict) or not isinstance(text, str) or not text:
        return None
    body = text.encode("utf-8", errors="surrogatepass")
    if content.get("encoding") == "base64":
        try:
            body = base64.b64decode(text)
        except (binascii.Error, ValueError):
            return None
    status = response.get("status")
    return Reply(status if isinstance(status, int) else 200, {}, body)


def _raise_nothing_found(
    path: Path, account: str | None, tokens: Counter[str], failures: list[SourceFailure], skipped: Counter[str]
) -> None:
    if failures:
        raise failures[0]
    others = ", ".join(sorted(token for token in tokens if token))
    if others:
        raise SourceFileUnusable(
            f"{path} holds answers of {others}, the writer file says {account}. Correct `account`, or record the right page."
        )
    if skipped:
        raise SourceFileUnusable(f"{path} names pages of answers but holds no content of them. {HOW}")
    raise SourceFileUnusable(f"{path} holds no page of a list of answers. {HOW}")
