"""The commands as a person or a script meets them: arguments, streams, exit status."""

import json
import os
import pty
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.__main__ import main
from ghostwriter.home import Home
from tests.zhihu_site import COOKIE, FaultySite, answers, error, page

AGENT = "User-Agent: Mozilla/5.0 (X11) Test/1"


@pytest.fixture
def cookie_file(tmp_path: Path) -> Path:
    path = tmp_path / "cookie.txt"
    path.write_text(f"Cookie: {COOKIE}\n{AGENT}\n", encoding="utf-8")
    path.chmod(0o600)
    return path


def run(capfd: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    status = main([str(argument) for argument in arguments])
    captured = capfd.readouterr()
    return status, captured.out, captured.err


def collect(
    capfd: pytest.CaptureFixture[str], site: FaultySite, home: Home, cookie_file: Path, *more: object
) -> tuple[int, dict[str, Any], str]:
    options = ("--site", site.url, "--home", home.path, "--cookie-file", cookie_file, "--pace", 0, "--json", *more)
    status, out, err = run(capfd, "collect", "laocheng", *options)
    return status, json.loads(out.splitlines()[-1]), err


def test_json_has_the_figures_of_a_good_run(writers: Path, home: Home, cookie_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FaultySite(answers(45)) as site:
        status, said, err = collect(capfd, site, home, cookie_file)
        assert (status, said["saved"], said["known"], said["site_total"], said["requests"], said["error"]) == (0, 45, 45, 45, 3, None)
        assert list(said) == ["saved", "known", "site_total", "requests", "error"]
        assert "Warning" not in err
        status, said, _ = collect(capfd, site, home, cookie_file)
    assert (status, said["saved"], said["known"], said["requests"]) == (0, 0, 45, 2)


def test_json_has_class_message_and_what_was_kept_of_a_stopped_run(
    writers: Path, home: Home, cookie_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with FaultySite(answers(45)) as site:
        site.script = [None, error(403, code=10003, message="请求参数异常，请升级客户端后重试。")]
        status, said, err = collect(capfd, site, home, cookie_file)
    assert (status, said["saved"], said["known"], said["site_total"], said["requests"]) == (13, 20, 20, 45, 2)
    assert said["error"]["class"] == "signature_required"
    assert "请求参数异常" in said["error"]["message"]
    assert "import har" in said["error"]["message"]
    assert err.splitlines()[-1].startswith("signature_required: ")


def test_incomplete_is_an_error_after_everything_is_saved(
    writers: Path, home: Home, cookie_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with FaultySite(answers(45)) as site:
        site.hidden = 10
        status, said, _ = collect(capfd, site, home, cookie_file)
    assert (status, said["known"], said["site_total"], said["error"]["class"]) == (29, 45, 55, "incomplete")


def test_errors_before_the_first_request_are_json_too(writers: Path, home: Home, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FaultySite(answers(3)) as site:
        status, said, _ = collect(capfd, site, home, tmp_path / "no-such-file")
        assert (status, said["requests"], said["error"]["class"]) == (31, 0, "source_file_unusable")
        (tmp_path / "half").write_text("z_c0=only", encoding="utf-8")
        status, said, _ = collect(capfd, site, home, tmp_path / "half")
        assert (status, said["requests"], said["error"]["class"]) == (10, 0, "auth_missing")
        assert "no d_c0" in said["error"]["message"]
    status, out, _ = run(capfd, "collect", "nobody", "--home", home.path, "--json")
    assert (status, json.loads(out)["error"]["class"]) == (1, "writer_file")
    status, out, _ = run(capfd, "collect", "laocheng", "--home", home.path, "--site", "http://evil.example", "--json")
    assert (status, json.loads(out)["error"]["class"]) == (32, "address_refused")
    assert site.record.seen == []


def test_a_cookie_file_without_a_user_agent_works_with_a_warning(
    writers: Path, home: Home, cookie_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cookie_file.write_text(COOKIE, encoding="utf-8")
    with FaultySite(answers(3)) as site:
        status, _, err = collect(capfd, site, home, cookie_file)
    assert status == 0
    assert "without its browser's User-Agent; a default one is sent" in err
    assert site.record.seen[0].request.headers["user-agent"].startswith("Mozilla/5.0 (Windows NT 10.0; Win64; x64)")


def test_a_readable_cookie_file_is_warned_about(writers: Path, home: Home, cookie_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    cookie_file.chmod(0o644)
    with FaultySite(answers(3)) as site:
        _, _, err = collect(capfd, site, home, cookie_file)
    assert f"chmod 600 {cookie_file}" in err


def test_neither_stream_ever_shows_the_cookie(writers: Path, home: Home, cookie_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FaultySite(answers(45)) as site:
        site.script = [None, error(400, code=1, message=COOKIE)]
        _, said, err = collect(capfd, site, home, cookie_file)
        _, out, probe_err = run(capfd, "probe", "laocheng", "--site", site.url, "--cookie-file", cookie_file)
    assert "secret" not in json.dumps(said) + err + out + probe_err


def test_probe_makes_one_request_and_shows_no_text(writers: Path, cookie_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FaultySite(answers(45)) as site:
        status, out, _ = run(capfd, "probe", "laocheng", "--site", site.url, "--cookie-file", cookie_file)
        seen = json.loads(out)
        assert (status, site.offsets) == (0, [0])
        assert (seen["status"], seen["class"], seen["items"], seen["items_with_content"], seen["totals"]) == (200, None, 20, 20, 45)
        assert seen["keys"] == ["data", "paging"]
        assert "content" in seen["item_keys"]
        assert "回答" not in out
        site.script = [error(403, code=10003, message="请求参数异常"), page(500, "<html>")]
        status, out, _ = run(capfd, "probe", "laocheng", "--site", site.url, "--cookie-file", cookie_file)
        assert status == 1
        assert {key: json.loads(out)[key] for key in ("status", "class", "code", "keys", "error_keys", "items")} == {
            "status": 403, "class": "signature_required", "code": 10003, "keys": ["error"],
            "error_keys": ["code", "message"], "items": None,
        }  # fmt: skip
        assert "请求参数异常" not in out
        run(capfd, "probe", "laocheng", "--site", site.url, "--cookie-file", cookie_file)
    assert len(site.offsets) == 3, "a server error is not retried by a probe"


def test_pace_is_the_pause_between_pages(writers: Path, home: Home, cookie_file: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with FaultySite(answers(60)) as site:
        collect(capfd, site, home, cookie_file, "--pace", 0.3)
    starts = [seen.began for seen in site.record.seen]
    assert all(later - earlier >= 0.2 for earlier, later in pairwise(starts))


@pytest.mark.parametrize("pace", ["-1", "nan", "soon"])
def test_a_pace_that_is_none_is_refused(writers: Path, capfd: pytest.CaptureFixture[str], pace: str) -> None:
    with pytest.raises(SystemExit):
        main(["collect", "laocheng", "--pace", pace])


def test_a_terminal_shows_progress(writers: Path, home: Home, cookie_file: Path) -> None:
    with FaultySite(answers(60)) as site:
        command = [sys.executable, "-m", "ghostwriter", "collect", "laocheng", "--site", site.url, "--home", str(home.path)]
        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*command, "--cookie-file", str(cookie_file), "--pace", "0.2"],
            stdout=subprocess.PIPE,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm"},
        )
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            pass  # a terminal whose other end has closed
        out, _ = process.communicate(timeout=60)
        os.close(ours)
    assert process.returncode == 0
    assert b"40 of 60 read, 40 new" in shown
    assert out.decode().strip() == (
        "60 new, 0 changed, 0 newly gone. 60 saved, as many as the site says. "
        "0.0% of 60 cleaned texts do not start like the site's own excerpt."
    )
