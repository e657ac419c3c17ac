"""A champion of 1.29 GB comes through MLflow's server from an object store in one answer, after a minute; all else answers in seconds."""

import os
import threading
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient

from ghostwriter.home import Home
from ghostwriter.judging.file_transfer import TIMEOUT, time_for_files
from ghostwriter.judging.promote import ADAPTER_FILE, fetch_champion, version_folder
from ghostwriter.writer import Writer
from tests.ghostwriter.judging.conftest import promoted


def test_a_champion_has_the_time_it_needs_to_arrive(
    client: MlflowClient, home: Home, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    promoted(client, home, writer, tmp_path, b"one")
    (version_folder(home, "lamplight", "1") / ADAPTER_FILE).unlink(missing_ok=True)
    monkeypatch.setenv(TIMEOUT, "30")
    download, seen = mlflow.artifacts.download_artifacts, list[str]()

    def note(*arguments: Any, **named: Any) -> str:
        seen.append(os.environ[TIMEOUT])
        return str(download(*arguments, **named))

    monkeypatch.setattr(mlflow.artifacts, "download_artifacts", note)
    assert fetch_champion(client, home, "lamplight")
    assert (seen, os.environ[TIMEOUT]) == (["1800"], "30")


@pytest.mark.parametrize("before", [None, "30", "7200"])
def test_what_was_set_is_back_when_the_last_of_two_is_done(monkeypatch: pytest.MonkeyPatch, before: str | None) -> None:
    if before:
        monkeypatch.setenv(TIMEOUT, before)
    else:
        monkeypatch.delenv(TIMEOUT, raising=False)
    inside, outside = threading.Event(), threading.Event()

    def hold() -> None:
        with time_for_files():
            inside.set()
            outside.wait(10)

    other = threading.Thread(target=hold)
    with time_for_files():
        other.start()
        assert inside.wait(10)
    assert os.environ[TIMEOUT] == ("7200" if before == "7200" else "1800")
    outside.set()
    other.join()
    assert os.environ.get(TIMEOUT) == before
