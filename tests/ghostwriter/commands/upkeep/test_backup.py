"""`backup` and `restore` by URL, against a real S3 server: one command each, and the same machine again."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.__main__ import main
from ghostwriter.home import ROOT
from ghostwriter.judging.promote import adapter_digest, fetch_champion
from ghostwriter.keeping.backup import BackupError
from ghostwriter.launchers.local import training_python
from tests.ghostwriter.keeping.machine_case import Machine, lived_in, make_machine, night
from tests.ghostwriter.keeping.nights_case import STEM

__all__ = ["make_machine"]  # a fixture


@pytest.fixture
def s3(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """URL of a bucket on a running server."""
    command = [training_python(), "-m", "tests.training.remote.s3_server", tmp_path]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin
        assert server.stdout
        for name, value in json.loads(server.stdout.readline()).items():
            monkeypatch.setenv(name, value)
        yield "s3://ghostwriter"
        server.stdin.close()


def run(machine: Machine, *words: str) -> int:
    """A command on this machine."""
    machine.use()
    machine.patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{machine.folder / 'mlflow.db'}")
    return main([*words, "--home", str(machine.home.path)])


def test_a_backup_in_an_object_store_is_restored_elsewhere(machine: Any, s3: str, capsys: pytest.CaptureFixture[str]) -> None:
    old, new, place = machine("old", "sqlite"), machine("new", "sqlite"), f"{s3}/backups/december/"
    lived_in(old)
    assert run(old, "backup", s3) == BackupError.exit_status
    assert f"{s3} names no folder. Name one, like {s3}/2026-12-01." in capsys.readouterr().err
    assert run(old, "backup", place) == 0
    assert run(old, "backup", place) == BackupError.exit_status
    assert f"{place} holds a backup already" in capsys.readouterr().err
    assert run(new, "restore", f"{s3}/backups/november") == BackupError.exit_status
    assert run(new, "restore", place) == 0
    said = capsys.readouterr().out
    assert "tester: champion is version 2" in said
    assert "Make these Airflow connections again: teacher." in said
    found = fetch_champion(new.client, new.home, STEM)
    assert found
    assert adapter_digest(found.adapter) == adapter_digest(old.home.champions(STEM) / "champion-v2")
    assert night(new) == 0, "nothing is bought again"
    assert not list(new.home.path.glob("tmp*")), "no scratch copy stays"
