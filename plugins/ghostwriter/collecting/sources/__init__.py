"""Where answers come from: one protocol, the same records. The writer file chooses which."""

from pathlib import Path

from ghostwriter.collecting.sources.cookies import parse_cookie
from ghostwriter.collecting.sources.files import open_files
from ghostwriter.collecting.sources.har import open_har
from ghostwriter.collecting.sources.record import Source
from ghostwriter.collecting.sources.stackexchange import StackExchangeSource
from ghostwriter.collecting.sources.transport import Pacer
from ghostwriter.collecting.sources.zhihu import ZhihuSource
from ghostwriter.writer import Writer, beside_writers


def open_source(
    writer: Writer, *, cookie: str | None, user_agent: str | None, site: str | None, pace: float | None, retry: bool = True
) -> Source:
    """The source the writer file names. `cookie` is the text as pasted, or the API key; `pace` None means the writer file's.

    Without `retry` a page is one request, whatever comes back. Raises SourceFileUnusable for files that cannot be read, AddressRefused
    for a `site` no cookie may be sent to.
    """
    settings = writer.source
    pacer = Pacer(settings.pace_seconds if pace is None else pace)
    if settings.kind == "har":
        return open_har(_path(settings.account))
    if settings.kind == "jsonl":
        return open_files(_path(settings.account))
    if settings.kind == "stackexchange":
        return StackExchangeSource(settings.account, cookie, pacer, site=site, retry=retry)
    return ZhihuSource(settings.account, parse_cookie(cookie or ""), pacer, user_agent=user_agent, site=site, retry=retry)


def _path(account: str) -> Path:
    """A file or folder named in a writer file."""
    return beside_writers(Path(account))
