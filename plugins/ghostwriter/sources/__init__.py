"""Where answers come from: one protocol, the same records. The writer file chooses which."""

from ghostwriter.sources.cookies import parse_cookie
from ghostwriter.sources.record import Source
from ghostwriter.sources.transport import Pacer
from ghostwriter.sources.zhihu import ZhihuSource
from ghostwriter.writer import Writer


def open_source(writer: Writer, *, cookie: str | None, user_agent: str | None, site: str | None, pace: float | None) -> Source:
    """The source the writer file names. `cookie` is the text as pasted, or the API key; `pace` None means the writer file's."""
    settings = writer.source
    pacer = Pacer(settings.pace_seconds if pace is None else pace)
    return ZhihuSource(settings.account, parse_cookie(cookie or ""), pacer, user_agent=user_agent, site=site)
