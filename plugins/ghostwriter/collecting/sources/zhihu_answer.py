"""One item of Zhihu's list of answers -> a Record; keys as seen in real pages, any of them may be missing or null."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from ghostwriter.collecting.sources.record import Record, storable

PAID_TYPES = ("paid", "paid_column_content")
DROPPED_KEYS = (
    "relationship",
    "ip_info",
    "can_comment",
    "comment_permission",
    "is_mine",
    "reaction",
    "reaction_instruction",
    "suggest_edit",
)
"""The viewer's own relation to the answer, and the author's whereabouts: not stored."""
KEPT_AUTHOR_KEYS = ("id", "url_token", "name", "type", "is_org")
Json = dict[str, Any]


def to_record(item: Json, author_id: str | None, site: str = "https://www.zhihu.com") -> Record:
    """The record of one item; `author_id` is whose list it stands in, None when unknown."""
    question, author = _object(item.get("question")), _object(item.get("author"))
    answer, question_id = str(item["id"]), _identity(question.get("id"))
    created = _time(item.get("created_time"))
    return Record(
        id=storable(answer),
        question_id=question_id,
        question=storable(question["title"]) if isinstance(question.get("title"), str) and question["title"] else None,
        url=storable(f"{site}/question/{question_id}/answer/{answer}" if question_id else f"{site}/answer/{answer}"),
        author_id=_identity(author.get("id")),
        body=storable(item["content"]) if isinstance(item.get("content"), str) else "",
        excerpt=storable(item["excerpt"]) if isinstance(item.get("excerpt"), str) else "",
        created=created,
        updated=_time(item.get("updated_time")) or created,
        votes=_count(item.get("voteup_count")),
        reuse=storable(item["reshipment_settings"]) if isinstance(item.get("reshipment_settings"), str) else None,
        flags=tuple(_flags(item, author_id)),
        raw=_minimal(item),
    )


def list_author(items: Iterable[Json], account: str) -> str | None:
    """Id of the author whose list this is: the one with the account's token, else the most frequent one."""
    authors = [author for author in (_object(item.get("author")) for item in items) if _identity(author.get("id")).strip("0")]
    for author in authors:
        if account in (author.get("url_token"), author.get("id")):
            return _identity(author["id"])
    return Counter(_identity(author["id"]) for author in authors).most_common(1)[0][0] if authors else None


def _flags(item: Json, author_id: str | None) -> Iterable[str]:
    question, author = _object(item.get("question")), _object(item.get("author"))
    found = {
        "paid": item.get("answer_type") in PAID_TYPES or bool(_object(item.get("paid_info")).get("type")),
        "truncated": item.get("content_need_truncated") is True or item.get("force_login_when_click_read_more") is True,
        "collapsed": item.get("is_collapsed") is True,
        "question_unavailable": not _identity(question.get("id")) or not question.get("title"),
        "foreign_author": bool(author_id and _identity(author.get("id")) and _identity(author.get("id")) != author_id),
        "not_answer": item.get("type", "answer") not in ("answer", None),
        "private": item.get("visible_only_to_author") is True or item.get("is_visible") is False,
        "deleted": item.get("is_deleted") is True,
        "no_repost": item.get("reshipment_settings") == "disallowed",
    }
    return (name for name, holds in found.items() if holds)


def _minimal(item: Json) -> Json:
    kept = {key: value for key, value in item.items() if key not in DROPPED_KEYS}
    if isinstance(item.get("author"), dict):
        kept["author"] = {key: item["author"][key] for key in KEPT_AUTHOR_KEYS if key in item["author"]}
    return kept


def _object(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def _identity(value: Any) -> str:
    return storable(str(value)) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _time(value: Any) -> int:
    """Unix seconds; 0 for what is no time between 1970 and 9999."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:20])
    good = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 253_402_300_800
    return int(value) if good else 0


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31 else None
