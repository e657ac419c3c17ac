"""A browser of one's own is listened to as its page asks for the list: a real Chromium, the site of the tests, nothing else asked."""

import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from ghostwriter.__main__ import main
from ghostwriter.collecting.export import export_rows
from ghostwriter.collecting.sources.browser import record
from ghostwriter.collecting.sources.errors import SourceFileUnusable
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.e2e.browser import FLAGS
from tests.zhihu_site import ACCOUNT, COOKIE, FaultySite, answers

LIST = f"/api/v4/members/{ACCOUNT}/answers"


@contextmanager
def chromium(folder: Path, url: str) -> Iterator[int]:
    """A browser as a person starts it, at `url`; its debugging port."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program, "There is no Chromium. `make chromium` installs it on Debian."
    command = [program, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={folder}", *FLAGS, url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as browser:
        try:
            deadline = time.monotonic() + 60
            while not (folder / "DevToolsActivePort").exists():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            port = int((folder / "DevToolsActivePort").read_text().splitlines()[0])
            while url not in urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list").read().decode():
                assert time.monotonic() < deadline
                time.sleep(0.1)
            yield port
        finally:
            browser.terminate()


def test_what_the_page_gets_is_archived_and_nothing_else_is_asked(
    tmp_path: Path, writer: Writer, home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    with FaultySite(answers(45)) as site:
        with chromium(tmp_path / "profile", f"{site.url}/start") as port:
            listening = Thread(target=_scroll, args=(port, site.url))
            listening.start()
            status = main(["import", "browser", "--writer", writer.stem, "--port", str(port), "--home", str(home.path)])
            listening.join()
        lists = [seen.request for seen in site.record.seen if seen.request.path == LIST]
    said = capsys.readouterr().out
    assert status == 0, said
    assert "Page 3: 5 answers" in said
    assert len(list(export_rows(home, writer.stem, masked=False))) == 45
    assert len(lists) == 3 and all("HeadlessChrome" in request.headers["user-agent"] for request in lists)
    assert not (home.path / f"browser-{writer.stem}.har").exists()
    assert "secret-login-ticket" not in said


def _scroll(port: int, site: str) -> None:
    """What a person does: their page asks for one part of the list after the other, with their cookie."""
    from playwright.sync_api import sync_playwright

    time.sleep(3)  # until it is listened to
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
        context = browser.contexts[0]
        pairs = [pair.split("=", 1) for pair in COOKIE.split("; ")]
        context.add_cookies([{"name": name, "value": value, "url": site} for name, value in pairs])
        for offset in (0, 20, 40):
            context.pages[0].evaluate(f"fetch('{LIST}?include=data[*].content&offset={offset}&limit=20').then(r => r.text())")
        browser.close()


def test_no_browser_is_said_with_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(SourceFileUnusable, match=r"No browser listens on port 9 .*--remote-debugging-port=9 --user-data-dir=FOLDER"):
        record(9, "a", tmp_path / "a.har", print)


def test_a_browser_that_is_elsewhere_is_said(tmp_path: Path) -> None:
    with chromium(tmp_path / "profile", "about:blank") as port, pytest.raises(SourceFileUnusable, match="shows no page of the site"):
        record(port, "a", tmp_path / "a.har", print)
