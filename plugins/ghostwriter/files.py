"""Files that outlast a power cut: written beside their place, synced, renamed into it, and the folder synced after that.

A rename alone is in the page cache: after a power cut the folder may show the old name, or an empty file under the new one.
"""

import os
import shutil
from pathlib import Path

GOING = ".purged"
"""End of the name of what is being removed: what a kill leaves of it is removed by the next run, and nobody reads it."""


def write_durably(path: Path, content: bytes) -> None:
    """Write a file whole or not at all; once this returns it is on the disk. Raises OSError."""
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each synced into the one it stands in. Raises OSError."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing:
        sync_folder(made.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in a folder on the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a folder with all that is in it, or a file; a kill leaves it under another name, under which nobody looks for it."""
    if path.exists():
        going = path.with_name(path.name + GOING)
        _erase(going)
        path.rename(going)
        _erase(going)


def remove_leftovers(parent: Path) -> None:
    """Finish what a kill cut off."""
    for going in parent.glob(f"*{GOING}"):
        _erase(going)


def is_going(path: Path) -> bool:
    """Whether this is what is left of something that is being removed."""
    return path.name.endswith(GOING)


def _erase(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
