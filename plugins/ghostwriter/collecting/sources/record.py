"""The one shape every source gives: records of answers, in pages; and the protocol of a source."""

import hashlib
import re
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict

BodyKind = Literal["html", "text", "markdown"]


class Record(BaseModel):
    """One answer as a source gave it. Times are unix seconds, UTC; 0 when the source does not say."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    question_id: str = ""
    question: str | None = None
    url: str = ""
    author_id: str = ""
    body: str = ""
    body_kind: BodyKind = "html"
    excerpt: str = ""
    created: int = 0
    updated: int = 0
    votes: int | None = None
    reuse: str | None = None
    """The author's wish in the source's own word (Zhihu: allowed, need_payment, disallowed) or the licence."""
    flags: tuple[str, ...] = ()
    raw: dict[str, Any] = {}
    """The item as it came, without what is nobody's business (viewer, avatar, place)."""

    @property
    def content_hash(self) -> str:
        """SHA-256 of the body; rotating image hosts and their query do not count."""
        return hashlib.sha256(_stable(self.body).encode()).hexdigest()


@dataclass(frozen=True)
class Page:
    """One page of a list: `total` is the site's own count of all answers, None when it does not say."""

    records: tuple[Record, ...]
    is_end: bool
    total: int | None = None
    skipped: int = 0
    """Items without an id, which cannot be archived."""
    unsafe_next: str | None = None
    """Where the page wanted to send us, when that is not the list itself."""


class Source(Protocol):
    """A place answers come from, newest first."""

    page_size: int
    complete: bool
    """Whether what is not in the list is gone; not so for a recording of a part of it."""
    always_full: bool
    """Whether reading costs nothing, so that everything is read each time."""

    @property
    def requests(self) -> int:
        """HTTP requests made so far."""

    def check(self) -> None:
        """Raise AuthMissing (or SourceFileUnusable) for what can be known before the first request."""

    def page(self, offset: int) -> Page:
        """The page that starts at `offset`. Raises SourceFailure."""

    def error_body(self) -> str | None:
        """What the last reply said, without secrets, for the report of an unknown error; None when there is nothing to show."""


def storable(text: str) -> str:
    """`text` without what databases refuse: NUL, and halves of surrogate pairs (they become U+FFFD)."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text.replace("\x00", ""))


def _stable(body: str) -> str:
    return re.sub(r"https?://pic[0-9a-z]*\.zhimg\.com/([^\s\"'?]*)(\?[^\s\"'<>]*)?", r"//zhimg/\1", body)
