"""Snapshots are written once, named by what they hold, and finished only with their manifest."""

import os
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


def test_the_same_rows_made_otherwise_keep_their_folder_and_date_with_the_facts_of_their_last_making(tmp_path: Path) -> None:
    folder = write(tmp_path)
    created = read_manifest(folder).created
    again = write_snapshot(tmp_path, "answers", "lamplight", {"answers.jsonl": ROWS}, parents=("q",), dropped={"paid": 3}, facts={"x": 2})
    manifest = read_manifest(again)
    assert (again, manifest.created) == (folder, created)
    assert (manifest.parents, manifest.dropped, manifest.facts) == (("q",), {"paid": 3}, {"x": 2})


def test_a_manifest_that_cannot_be_read_is_written_anew(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / MANIFEST).write_text("{}")
    assert read_manifest(write(tmp_path)).parents == ("p",)


def test_a_power_cut_after_the_snapshot_was_written_loses_none_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced, real = [], os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    folder = write(tmp_path / "answers" / "lamplight")
    assert synced[-2:] == [folder / f"{MANIFEST}.unfinished", folder]  # the file, and then its name
    assert {tmp_path, tmp_path / "answers", folder.parent, folder} <= set(synced)
