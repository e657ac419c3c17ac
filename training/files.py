"""Files and folders that appear whole: written beside their place, under a name ending in UNFINISHED, then renamed.

One rule for syncing: what a later run goes on from is on the disk before it has its name, and has
its name before the call returns. What is only looked at (`synced=False`: progress) is not synced,
since a sync waits for everything else that is on its way to the disk.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".unfinished"
REPLACED = ".replaced" + UNFINISHED
IN_USE_SECONDS = 2 * 24 * 3600


def write_file(path: Path, content: bytes | str, *, synced: bool = True) -> None:
    """Write `content` (text as UTF-8) to `path`: a reader sees the old file, the new one, or none."""
    with whole_file(path, synced=synced) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_file(path: Path, *, synced: bool = True) -> Iterator[BinaryIO]:
    """A file to write into, which becomes `path` when the block ends well, and vanishes otherwise."""
    unfinished = path.with_name(path.name + UNFINISHED)
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            if synced:
                os.fsync(file.fileno())
    except BaseException:
        unfinished.unlink(missing_ok=True)  # on a full disk it would leave no room even to say so
        raise
    unfinished.replace(path)
    if synced:
        sync(path.parent)


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of `folder` when the block ends well."""
    unfinished = folder.with_name(folder.name + UNFINISHED)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        for path in [*unfinished.rglob("*"), unfinished]:
            sync(path)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    replaced = folder.with_name(folder.name + REPLACED)
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    sync(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def touch(path: Path) -> None:
    """Note that a kept file was used now."""
    with suppress(FileNotFoundError):
        os.utime(path)


def prune(folder: Path, most_bytes: int) -> None:
    """Of the kept files directly in `folder`, remove those used longest ago until all together have at most `most_bytes`.

    What was used within IN_USE_SECONDS stays whatever it takes: a run at work may need it.
    """
    with os.scandir(folder) as entries:
        found = [(entry.path, entry.stat()) for entry in entries if entry.is_file()]
    room, now = most_bytes, time.time()
    for path, facts in sorted(found, key=lambda one: -one[1].st_mtime):
        room -= facts.st_size
        if room < 0 and now - facts.st_mtime > IN_USE_SECONDS:
            Path(path).unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Remove what a kill left half written directly in a folder that no other process writes to."""
    for path in folder.glob(f"*{UNFINISHED}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
