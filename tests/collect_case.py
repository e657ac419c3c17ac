"""A collection from the moving site, and what the archive has after it."""

from typing import Any

from ghostwriter.collecting.collect import CollectReport, collect
from ghostwriter.collecting.export import export_rows
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.zhihu_site import COOKIE, FaultySite

CHALLENGE = '<html><head><meta id="zh-zse-ck" content="004"><script src="https://static.zhihu.com/zse-ck/v4/ab.js"></script></head></html>'


def run(writer: Writer, home: Home, site: FaultySite, **options: Any) -> CollectReport:
    return collect(writer, home, **{"cookie": COOKIE, "site": site.url, "pace": 0, **options})


def ids(home: Home, *, flag: str | None = None) -> set[str]:
    return {row["id"] for row in export_rows(home, "laocheng") if flag is None or flag in row["flags"]}
