"""Files and folders appear whole or not at all."""

import os
import time
from pathlib import Path

import pytest

from training.files import IN_USE_SECONDS, prune, sweep, touch, whole_folder, write_file


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    write_file(path, "first")
    write_file(path, b"second", synced=False)
    assert path.read_text() == "second"
    assert [each.name for each in tmp_path.iterdir()] == ["state.json"]


def test_a_folder_that_is_not_finished_leaves_the_one_before(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with whole_folder(tmp_path / "adapter") as folder:
            (folder / "weights").write_text(text)
    with pytest.raises(OSError, match="full"), whole_folder(tmp_path / "adapter") as folder:
        (folder / "weights").write_text("half")
        raise OSError("full")
    assert (tmp_path / "adapter" / "weights").read_text() == "second"
    assert [each.name for each in tmp_path.iterdir()] == ["adapter"]


def test_all_of_it_is_on_the_disk_before_it_has_its_name_and_the_name_before_it_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is synced, and with which names there."""
    sync, synced = os.fsync, list[tuple[str, list[str]]]()

    def note(descriptor: int) -> None:
        synced.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, sorted(path.name for path in tmp_path.iterdir())))
        sync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    with whole_folder(tmp_path / "adapter") as folder:
        (folder / "weights").write_text("all")
    half, whole = ["adapter.unfinished"], ["adapter"]
    assert synced == [("weights", half), ("adapter.unfinished", half), (tmp_path.name, whole)]
    synced.clear()
    write_file(tmp_path / "result.json", "{}")
    assert synced == [("result.json.unfinished", [*whole, "result.json.unfinished"]), (tmp_path.name, [*whole, "result.json"])]
    write_file(tmp_path / "progress.json", "{}", synced=False)
    assert len(synced) == 2


def test_what_a_kill_left_is_swept_away(tmp_path: Path) -> None:
    write_file(tmp_path / "kept", "whole")
    (tmp_path / "file.unfinished").touch()
    (tmp_path / "folder.unfinished" / "inside").mkdir(parents=True)
    (tmp_path / "folder.replaced.unfinished").mkdir()
    sweep(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_what_was_used_longest_ago_goes_first_and_what_is_in_use_stays(tmp_path: Path) -> None:
    old = time.time() - 2 * IN_USE_SECONDS
    for number, name in enumerate(("oldest", "older", "old", "new")):
        (tmp_path / name).write_bytes(bytes(100))
        os.utime(tmp_path / name, (old + number, old + number))
    (tmp_path / "folder").mkdir()
    touch(tmp_path / "oldest")
    touch(tmp_path / "never there")
    prune(tmp_path, 300)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "new", "old", "oldest"]
    prune(tmp_path, 0)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "oldest"]
