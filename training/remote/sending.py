"""Send what a stage writes to the URL its data came from, while it works: a killed attempt goes on from there on another machine.

A thread looks for new checkpoints and answers; training does not wait for it. Order decides what a kill can leave behind: what
was told to MLflow goes before the checkpoint that goes on from it, answered.json after all else, and result.json last.
"""

import errno
import hashlib
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training.contract import ANSWERED_FILE, REQUEST_FILE, RESULT_FILE
from training.errors import RemoteDataError
from training.files import UNFINISHED
from training.remote.object_store import Store
from training.remote.remote_data import CHECKPOINTS, Request, name_of
from training.tracking.outbox import SENT

log = logging.getLogger(__name__)

LOOK_SECONDS = 0.2
SENDING = "sending-"
"""How the name of a checkpoint begins while it is sent."""
NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS, errno.EXDEV}
SEND_SECONDS = 10.0
"""Pause between two sendings without a new checkpoint, and after one that failed."""
TRIES, TRIES_WHEN_STOPPED = 7, 2
"""How often the end of a stage tries: a minute of a store that takes nothing. Whoever asks a stage to
stop kills it after a minute at most.
"""
ANSWERS = "answers"
"""In the models folder: what models answered before (training.kept_rows)."""


@contextmanager
def sending(request: Request, home: Path, url: str) -> Iterator[None]:
    """Send while the stage works, and the rest at its end. Raises RemoteDataError at once when nothing can be written there."""
    sender = _Sender(request, home, Store(url))
    sender.begin()
    try:
        yield
    except BaseException:
        sender.stop()
        with suppress(RemoteDataError):  # it was said, and the next attempt does with what is there
            sender.send_patiently(TRIES_WHEN_STOPPED)
        raise
    sender.stop()
    sender.send_patiently(TRIES, result=True)


class _Sender:
    def __init__(self, request: Request, home: Path, store: Store) -> None:
        self._store, self._run = store, request.run_folder
        self._run_name = name_of(request.run_folder, home)
        self._answers = _Answers(request.models / ANSWERS, home, store) if request.models.is_relative_to(home) else None
        self._sent: dict[str, tuple[int, int]] = {}
        self._sent_checkpoints: set[str] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="data-sender", daemon=True)

    def begin(self) -> None:
        """Fetch kept answers, put the request back (which shows that writing is allowed), and start looking."""
        for left in (self._run / CHECKPOINTS).glob(f"{SENDING}*"):  # by a kill: as large as a checkpoint
            shutil.rmtree(left)
        if self._answers:
            self._answers.fetch()
        self._store.send_file(self._run / REQUEST_FILE, f"{self._run_name}/{REQUEST_FILE}")
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join()

    def send(self) -> None:
        """Send all that is new. Checkpoints that the run folder no longer keeps are removed once a newer one is there."""
        for folder in self._folders():
            self._store.send_folder(folder, f"{self._run_name}/{folder.name}")
        for path in self._loose_files():
            stat = path.stat()
            if self._sent.get(path.name) != (stat.st_size, stat.st_mtime_ns):
                self._store.send_file(path, f"{self._run_name}/{path.name}")
                self._sent[path.name] = stat.st_size, stat.st_mtime_ns
        if self._answers:
            self._answers.send()
        self._send_checkpoints()

    def try_send(self, *, result: bool = False) -> RemoteDataError | None:
        """The same, and at the end the result; a failure is said and returned, as the next attempt may do."""
        try:
            self.send()
            if result:
                self.send_result()
        except RemoteDataError as error:
            log.warning("Not sent yet: %s", error)
            return error
        return None

    def send_patiently(self, tries: int, *, result: bool = False) -> None:
        """Send all that is left. Raises RemoteDataError when the store takes it at none of so many tries."""
        while failed := self.try_send(result=result):
            tries -= 1
            if not tries:
                raise failed
            time.sleep(SEND_SECONDS)

    def send_result(self) -> None:
        """Send the result; after it no checkpoint is needed."""
        if (self._run / RESULT_FILE).exists():
            self._store.send_file(self._run / RESULT_FILE, f"{self._run_name}/{RESULT_FILE}")
            self._store.remove_folder(f"{self._run_name}/{CHECKPOINTS}")

    def _work(self) -> None:
        next_time, well = time.monotonic(), True
        while not self._stopping.wait(LOOK_SECONDS):
            if time.monotonic() >= next_time or (well and self._new_checkpoints()):
                well = self.try_send() is None
                next_time = time.monotonic() + SEND_SECONDS

    def _send_checkpoints(self) -> None:
        name, kept = f"{self._run_name}/{CHECKPOINTS}", self._checkpoints()
        if kept and kept[-1].name not in self._sent_checkpoints:
            self._send_checkpoint(kept[-1], f"{name}/{kept[-1].name}")
        if kept:
            there = self._store.folders(name)
            newest = kept[-1].name
            for old in set(there) - {folder.name for folder in kept} if newest in there else ():
                self._store.remove_folder(f"{name}/{old}")

    def _send_checkpoint(self, folder: Path, name: str) -> None:
        """Send one by names of its own for its files, so that it arrives however long that takes: training keeps the newest two."""
        held = folder.with_name(SENDING + folder.name)
        shutil.rmtree(held, ignore_errors=True)
        try:
            held = hold(folder, held)
            self._store.send_folder(held, name)
        except (FileNotFoundError, RemoteDataError):
            if folder.exists():  # else training has removed it meanwhile, for a newer one
                raise
            return
        finally:
            if held != folder:
                shutil.rmtree(held, ignore_errors=True)
        self._sent_checkpoints.add(folder.name)

    def _new_checkpoints(self) -> bool:
        """Whether the newest was not sent yet; an older one is no longer worth its bytes."""
        kept = self._checkpoints()
        return bool(kept) and kept[-1].name not in self._sent_checkpoints

    def _checkpoints(self) -> list[Path]:
        return sorted(path for path in (self._run / CHECKPOINTS).glob("step-*") if not path.name.endswith(UNFINISHED))

    def _folders(self) -> list[Path]:
        """Adapters; not the run folders of other stages inside this one, nor what other processes write for themselves."""
        folders = [path for path in sorted(self._run.iterdir()) if path.is_dir() and not path.name.endswith(UNFINISHED)]
        own = [path for path in folders if path.name != CHECKPOINTS and not path.name.startswith("process-")]
        return [path for path in own if not (path / REQUEST_FILE).exists()]

    def _loose_files(self) -> list[Path]:
        """Files of the run folder. How far MLflow has the outbox goes before the outbox: the other way round entries could be skipped."""
        left_out = (REQUEST_FILE, RESULT_FILE)
        paths = [path for path in sorted(self._run.iterdir()) if path.is_file() and path.name not in left_out]
        whole = (path for path in paths if not path.name.endswith(UNFINISHED))
        return sorted(whole, key=lambda path: (path.name == ANSWERED_FILE, path.name != SENT))


def hold(folder: Path, held: Path) -> Path:
    """A second name for each file of a folder, which costs no room; the folder itself where the file system has no hard links."""
    held.mkdir()
    try:
        for path in folder.iterdir():
            os.link(path, held / path.name)
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.rmtree(held)
        return folder
    return held


class _Answers:
    """Kept answers: a file that only grows here is a folder of pieces in the store, none of which is ever written again."""

    def __init__(self, folder: Path, home: Path, store: Store) -> None:
        self._folder, self._name, self._store = folder, name_of(folder, home), store
        self._ends: dict[str, int] = {}

    def fetch(self) -> None:
        """Put the pieces of each file together, unless it is there."""
        whole: dict[str, bytes] = {}
        for name, content in self._store.read_all(self._name).items():
            file = name.partition("/")[0]
            whole[file] = whole.get(file, b"") + content
        for file, content in whole.items():
            path = self._folder / file
            if not path.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self._ends[file] = len(content)

    def send(self) -> None:
        """Send the whole lines that are new."""
        for path in sorted(self._folder.glob("*.jsonl")):
            with path.open("rb") as file:
                file.seek(self._ends.get(path.name, 0))
                new = file.read()
            if lines := new[: new.rfind(b"\n") + 1]:
                digest = hashlib.sha256(lines).hexdigest()[:32]
                self._store.send_bytes(lines, f"{self._name}/{path.name}/{digest}.jsonl")
                self._ends[path.name] = self._ends.get(path.name, 0) + len(lines)
