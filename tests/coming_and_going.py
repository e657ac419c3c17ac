"""Folders that are renamed away and back all the time, as something else that removes them would."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def coming_and_going(folders: Sequence[Path]) -> Iterator[None]:
    """While this lasts, each folder is there only most of the time; in the end all are."""
    done = threading.Event()

    def come_and_go() -> None:
        while not done.is_set():
            for folder in folders:
                going = folder.with_name(folder.name + ".purged")
                folder.rename(going)
                going.rename(folder)

    thread = threading.Thread(target=come_and_go)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
