"""JSONL files and folders of text, Markdown and HTML."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.collecting.collect import CollectReport, collect
from ghostwriter.collecting.export import export_rows
from ghostwriter.collecting.sources.errors import Incomplete, SourceFileUnusable
from ghostwriter.home import Home
from ghostwriter.writer import Writer

CORPUS = Path(__file__).parents[4] / "demo" / "corpus" / "laocheng.jsonl"


def read(writer: Writer, home: Home, path: Path, *, full: bool = False) -> CollectReport:
    source = writer.source.model_copy(update={"kind": "jsonl", "account": str(path)})
    return collect(writer.model_copy(update={"source": source}), home, full=full)


def exported(home: Home) -> list[dict[str, Any]]:
    return list(export_rows(home, "laocheng", masked=False))


def test_a_corpus_file_is_archived_whole_and_again_changes_nothing(writer: Writer, home: Home) -> None:
    rows = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    report = read(writer, home, CORPUS)
    assert (report.known, report.site_total, report.requests) == (len(rows), len(rows), 0)
    assert {row["id"]: row["text"] for row in exported(home)} == {row["id"]: row["answer"] for row in rows}
    assert read(writer, home, CORPUS).saved == 0


def test_a_file_cut_by_more_than_a_tenth_takes_nothing_away_unless_told(writer: Writer, home: Home, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    lines = [json.dumps({"id": number, "question": f"q{number}", "text": f"a{number}"}) + "\n" for number in range(185)]
    path.write_text("".join(lines), encoding="utf-8")
    read(writer, home, path)
    path.write_text("".join(lines[:20]), encoding="utf-8")
    for _ in range(2):
        with pytest.raises(Incomplete, match=r"165 of 185 answers are missing from the source at once, more than 10%"):
            read(writer, home, path)
        assert [row["flags"] for row in exported(home)] == [[]] * 185
    path.write_text("".join(lines[:170]), encoding="utf-8")
    assert read(writer, home, path).newly_gone == 15
    path.write_text("".join(lines[:20]), encoding="utf-8")
    assert read(writer, home, path, full=True).newly_gone == 150


def test_a_changed_row_is_a_revision_and_a_missing_one_is_gone(writer: Writer, home: Home, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text('{"id": 1, "question": "q", "text": "a"}\n{"id": 2, "question": "r", "text": "b"}\n', encoding="utf-8")
    read(writer, home, path)
    path.write_text('{"id": 1, "question": "q", "text": "A"}\n', encoding="utf-8")
    report = read(writer, home, path)
    assert (report.changed, report.newly_gone, report.known) == (1, 1, 2)


def test_bad_lines_are_counted_and_the_good_ones_kept(writer: Writer, home: Home, tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_text(
        '{"id": 1, "text": "a"}\nnonsense\n[]\n{"id": 2, "html": "<p>b</p>"}\n\n{"id": 3, "content": "<b>c</b>"}\n', encoding="utf-8"
    )
    report = read(writer, home, path)
    assert (report.known, report.skipped_items) == (3, 2)
    assert sorted(row["text"] for row in exported(home)) == ["a", "b", "c"]


def test_a_folder_of_documents(writer: Writer, home: Home, tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    (folder / "sub").mkdir(parents=True)
    (folder / "one.md").write_text("# What is fog?\n\nA cloud that came down.\n", encoding="utf-8")
    (folder / "二.txt").write_bytes("豆腐怎么挑？看边。".encode("gb18030"))
    (folder / "sub" / "three.html").write_text("<p>三</p><p>句</p>", encoding="utf-8")
    (folder / "utf16.txt").write_bytes("sixteen".encode("utf-16"))
    (folder / "empty.txt").write_text("  \n", encoding="utf-8")
    (folder / "ignored.png").write_bytes(b"\x89PNG")
    os.utime(folder / "one.md", (1_700_000_000, 1_700_000_000))
    report = read(writer, home, folder)
    rows = {row["id"]: row for row in exported(home)}
    assert (report.known, report.skipped_items) == (4, 1)
    assert (rows["one"]["question"], rows["one"]["text"], rows["one"]["created"]) == (
        "What is fog?",
        "A cloud that came down.",
        "2023-11-14T22:13:20+00:00",
    )
    assert (rows["二"]["question"], rows["二"]["text"]) == ("二", "豆腐怎么挑？看边。")
    assert rows["sub/three"]["text"] == "三\n句"
    assert rows["utf16"]["text"] == "sixteen"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "does not exist"),
        ("", "holds no answers"),
        ('x\ny\n{"text": "a"}', "2 lines cannot be read, only 1 can. The first problem: .* line 1 is no JSON"),
    ],
)
def test_what_cannot_be_used_says_why(writer: Writer, home: Home, tmp_path: Path, content: str | None, said: str) -> None:
    path = tmp_path / "answers.jsonl"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(SourceFileUnusable, match=said):
        read(writer, home, path)


def test_a_recording_may_be_the_writers_source(writer: Writer, home: Home, tmp_path: Path) -> None:
    item = {"id": 5, "content": "<p>五</p>", "question": {"id": 1, "title": "问"}, "created_time": 1_700_000_000}
    (tmp_path / "pages.har").write_text(json.dumps([{"data": [item], "paging": {"is_end": True, "totals": 1}}]), encoding="utf-8")
    source = writer.source.model_copy(update={"kind": "har", "account": str(tmp_path / "pages.har")})
    assert collect(writer.model_copy(update={"source": source}), home).known == 1
    assert exported(home)[0]["text"] == "五"
