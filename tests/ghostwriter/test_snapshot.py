"""Snapshots are written once, named by what they hold, and finished only with their manifest."""

from pathlib import Path

import pytest

from ghostwriter.errors import SnapshotError
from ghostwriter.snapshot import MANIFEST, read_manifest, read_rows, write_snapshot

ROWS = [{"id": "1", "text": "茶"}, {"id": "2", "text": "tea"}]


def write(parent: Path) -> Path:
    return write_snapshot(parent, "answers", "lamplight", {"answers.jsonl": ROWS}, parents=("p",), dropped={"paid": 2}, facts={"x": 1})


def test_rows_and_manifest_come_back_as_they_were_written(tmp_path: Path) -> None:
    folder = write(tmp_path)
    manifest = read_manifest(folder)
    assert read_rows(folder, "answers.jsonl") == ROWS
    assert (manifest.kind, manifest.writer, manifest.parents, manifest.dropped, manifest.facts) == (
        "answers",
        "lamplight",
        ("p",),
        {"paid": 2},
        {"x": 1},
    )
    assert manifest.files["answers.jsonl"].rows == 2
    assert folder.name == manifest.digest[:16]


def test_the_same_rows_give_the_same_finished_folder(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = (folder / MANIFEST).stat().st_mtime_ns
    assert write(tmp_path) == folder
    assert (folder / MANIFEST).stat().st_mtime_ns == before


def test_a_folder_without_a_manifest_is_written_again(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / MANIFEST).unlink()
    (folder / "answers.jsonl").write_text("cut")
    with pytest.raises(SnapshotError, match="no finished snapshot"):
        read_rows(folder, "answers.jsonl")
    assert read_rows(write(tmp_path), "answers.jsonl") == ROWS


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "answers.jsonl").write_text('{"id": "3"}\n')
    with pytest.raises(SnapshotError, match="changed after it was written"):
        read_rows(folder, "answers.jsonl")


def test_a_lone_surrogate_does_not_lose_the_row(tmp_path: Path) -> None:
    folder = write_snapshot(tmp_path, "answers", "w", {"a.jsonl": [{"text": "cut \ud83d here"}]})
    assert read_rows(folder, "a.jsonl") == [{"text": "cut ? here"}]
