"""A server that falters is waited for, one that takes an upload for as long as it takes, and one that answers nothing only for a while."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from requests import ConnectionError as Refused

from training.contract import Tracking
from training.tracking.outbox import Outbox
from training.tracking.sender import TIMEOUT, Sender

PATIENCE = 0.8


class Server:
    """What a client sees of a server: an upload does what `uploads` says, one after the other; everything else is answered."""

    def __init__(self, *uploads: Callable[[], None]) -> None:
        self._uploads, self.timeouts = list(uploads), list[str]()

    def update_run(self, *_arguments: Any, **_named: Any) -> None:
        return

    def get_run(self, run_id: str) -> Any:
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def set_terminated(self, *_arguments: Any) -> None:
        return

    def log_artifact(self, *_arguments: Any) -> None:
        self.timeouts.append(os.environ[TIMEOUT])
        self._uploads.pop(0)()


def refused() -> None:
    raise Refused("connection reset")


def slow() -> None:
    time.sleep(3 * PATIENCE)


def close(folder: Path, server: Server) -> tuple[bool, list[str]]:
    """Whether a sender with one file to upload sent everything, and what is left."""
    (folder / "file").write_text("an adapter")
    outbox = Outbox(folder)
    outbox.add({"run": "", "kind": "artifact", "path": str(folder / "file"), "folder": ""})
    outbox.add({"run": "", "kind": "status", "value": "FINISHED"})
    sender = Sender(Tracking(uri="http://nowhere", experiment="e", run_name="r", run_id="1"), folder, outbox)
    sender._client = server  # type: ignore[assignment]
    sender.start(1.0)
    is_all = sender.close(PATIENCE)
    outbox.close()
    return is_all, [item.entry["kind"] for item in outbox.pending()]


@pytest.fixture(autouse=True)
def _timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TIMEOUT, "10")


def test_after_a_hiccup_a_long_upload_is_not_given_up(tmp_path: Path) -> None:
    server = Server(refused, slow)
    assert close(tmp_path, server) == (True, [])
    assert server.timeouts == ["1800", "1800"]  # the answer comes when MLflow has copied the file to where it keeps it
    assert os.environ[TIMEOUT] == "10"


def test_a_server_that_takes_no_upload_at_all_is_given_up_and_nothing_is_lost(tmp_path: Path) -> None:
    began = time.monotonic()
    assert close(tmp_path, Server(*[refused] * 100)) == (False, ["artifact", "status"])
    assert time.monotonic() - began < 8 * PATIENCE
