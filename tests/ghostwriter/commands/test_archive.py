"""`export`, `clean` and `import har` from the outside."""

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.__main__ import main
from ghostwriter.collecting.collect import collect
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.zhihu_site import COOKIE, FaultySite, answer, answers

LIST = "https://www.zhihu.com/api/v4/members/lao-cheng/answers?offset={}&limit=20"


def lines(capfd: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capfd.readouterr().out.splitlines()]


def entry(url: str, body: Any, *, encoded: bool = False, status: int = 200) -> dict[str, Any]:
    text = body if isinstance(body, str) else json.dumps(body)
    content = {"text": base64.b64encode(text.encode()).decode(), "encoding": "base64"} if encoded else {"text": text}
    request = {"method": "GET", "url": url, "headers": [{"name": "Cookie", "value": COOKIE}]}
    return {"request": request, "response": {"status": status, "content": content}}


def har(path: Path, *entries: Any) -> Path:
    path.write_text("\ufeff" + json.dumps({"log": {"version": "1.2", "entries": list(entries)}}), encoding="utf-8")
    return path


@pytest.fixture
def site() -> Iterator[FaultySite]:
    with FaultySite(answers(45)) as running:
        yield running


def pages(site: FaultySite) -> list[dict[str, Any]]:
    return [site.page({"offset": str(offset), "include": "data[*].content"}) for offset in (0, 20, 40)]


def test_export_prints_every_answer_with_the_promised_fields(writer: Writer, home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    items = [
        answer(3, paid_info={"type": "paid_column"}, is_collapsed=True, content_need_truncated=True, content="<p>邮箱 a.b@example.com</p>"),
        answer(2, content="<p>第 2 个回答。</p>", reshipment_settings="disallowed"),
        answer(1, content='<figure><img src="https://pic1.zhimg.com/a.jpg"></figure>', id="1970000960277185864"),
    ]
    with FaultySite(items) as site:
        collect(writer, home, cookie=COOKIE, site=site.url, pace=0)
        del site.items[1]
        collect(writer, home, cookie=COOKIE, site=site.url, pace=0, full=True)
    capfd.readouterr()
    assert main(["export", "answers", "laocheng", "--home", str(home.path)]) == 0
    assert lines(capfd) == [
        {
            "id": "2000000003",
            "question_id": "600000003",
            "question": "第 3 个问题？",
            "text": "邮箱 [email]",
            "created": "2025-10-09T11:53:20+00:00",
            "updated": "2025-10-09T11:53:20+00:00",
            "flags": ["paid", "truncated", "collapsed"],
        },
        {
            "id": "2000000002",
            "question_id": "600000002",
            "question": "第 2 个问题？",
            "text": "第 2 个回答。",
            "created": "2025-10-09T10:53:20+00:00",
            "updated": "2025-10-09T10:53:20+00:00",
            "flags": ["gone", "no_repost"],
        },
        {
            "id": "1970000960277185864",
            "question_id": "600000001",
            "question": "第 1 个问题？",
            "text": "![](https://pic1.zhimg.com/a.jpg)",
            "created": "2025-10-09T09:53:20+00:00",
            "updated": "2025-10-09T09:53:20+00:00",
            "flags": ["image_only"],
        },
    ]
    main(["export", "answers", "laocheng", "--home", str(home.path), "--no-mask"])
    assert lines(capfd)[0]["text"] == "邮箱 a.b@example.com"


def test_export_of_an_empty_archive_prints_nothing(writers: Path, home: Home, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "answers", "laocheng", "--home", str(home.path)]) == 0
    assert capfd.readouterr().out == ""


def test_clean_reads_a_file_or_standard_input_and_never_masks(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.html").write_text("<p>电话 13912345678。</p><p>二</p>", encoding="utf-8")
    assert main(["clean", str(tmp_path / "a.html")]) == 0
    assert capfd.readouterr().out == "电话 13912345678。\n二\n"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("<p>标准输入</p>".encode())))
    assert main(["clean", "-"]) == 0
    assert capfd.readouterr().out == "标准输入\n"
    assert main(["clean", str(tmp_path / "none.html")]) == 31


def test_a_har_becomes_the_same_archive_as_the_site_itself(
    writer: Writer, home: Home, tmp_path: Path, site: FaultySite, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, third = pages(site)
    recording = har(
        tmp_path / "answers.har",
        entry(LIST.format(20), second, encoded=True),
        entry(LIST.format(0), first),
        entry("https://www.zhihu.com/api/v4/me", {"uid": 1}),
        entry("https://evil.example/api/v4/members/lao-cheng/answers", {"data": [answer(99)], "paging": {"is_end": True}}),
        {"request": {"url": LIST.format(60)}, "response": {"content": {}}},
        entry(LIST.format(40), third),
        entry(LIST.format(0), first),
    )
    assert main(["import", "har", str(recording), "--writer", "laocheng", "--home", str(home.path)]) == 0
    assert "45 new, 0 changed, 0 newly gone. 45 saved, as many as the site says." in capfd.readouterr().out
    main(["export", "answers", "laocheng", "--home", str(home.path)])
    imported = lines(capfd)
    assert len(imported) == 45
    assert collect(writer, home, cookie=COOKIE, site=site.url, pace=0).saved == 0
    main(["export", "answers", "laocheng", "--home", str(home.path)])
    assert lines(capfd) == imported
    assert b"secret" not in b"".join(path.read_bytes() for path in home.path.rglob("*") if path.is_file())


def test_a_part_of_the_list_is_imported_and_marks_nothing_gone(
    writer: Writer, home: Home, tmp_path: Path, site: FaultySite, capfd: pytest.CaptureFixture[str]
) -> None:
    first, second, _ = pages(site)
    for recorded in (first, second):
        assert (
            main(
                [
                    "import",
                    "har",
                    str(har(tmp_path / "a.har", entry(LIST.format(0), recorded))),
                    "--writer",
                    "laocheng",
                    "--home",
                    str(home.path),
                ]
            )
            == 0
        )
    assert "40 saved, site says 45" in capfd.readouterr().out
    main(["export", "answers", "laocheng", "--home", str(home.path)])
    assert not any("gone" in row["flags"] for row in lines(capfd))


def test_pages_saved_by_a_script_in_the_console_are_read_too(writers: Path, home: Home, tmp_path: Path, site: FaultySite) -> None:
    (tmp_path / "pages.json").write_text(json.dumps(pages(site)), encoding="utf-8")
    assert main(["import", "har", str(tmp_path / "pages.json"), "--writer", "laocheng", "--home", str(home.path)]) == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "is no JSON, so it is no whole HAR file"),
        ('{"log": {"entries": []}}', "holds no page of a list of answers"),
        ('{"log": {"entries": null}}', "holds no page of a list of answers"),
        (json.dumps({"log": {"entries": [{"request": {"url": LIST}, "response": {}}]}}), "holds no content of them"),
        (
            json.dumps({"log": {"entries": [entry(LIST.replace("lao-cheng", "somebody"), {})]}}),
            "holds answers of somebody, the writer file says lao-cheng",
        ),
        (
            json.dumps({"log": {"entries": [entry(LIST, {"error": {"code": 10003, "message": "升级"}}, status=403)]}}),
            "signature_required: ",
        ),
    ],
)
def test_a_recording_that_cannot_be_used_says_why(
    writers: Path, home: Home, tmp_path: Path, capfd: pytest.CaptureFixture[str], content: str, said: str
) -> None:
    (tmp_path / "bad.har").write_text(content, encoding="utf-8")
    assert main(["import", "har", str(tmp_path / "bad.har"), "--writer", "laocheng", "--home", str(home.path)]) == (
        13 if "signature" in said else 31
    )
    assert said in capfd.readouterr().err
