"""What the tasks of the DAG do, found by stem and by Airflow's and MLflow's own settings."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ghostwriter.keeping.housekeeping import tidy_batches, tidy_logs, tidy_writer
from tests.ghostwriter.keeping.test_logs import log_of

STEM = "lamplight"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path / "var"))
    monkeypatch.setenv("AIRFLOW__LOGGING__BASE_LOG_FOLDER", str(tmp_path / "logs"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    return tmp_path / "var"


def test_nothing_to_remove_is_nothing_removed_and_no_connection_is_read(home: Path) -> None:
    assert tidy_writer(STEM, dry_run=False) == {"folders": 0, "bytes": 0, "adapters": 0}
    assert tidy_batches(STEM, dry_run=False) == 0


def test_logs_are_those_of_airflows_own_folder(tmp_path: Path) -> None:
    days = (datetime.now(UTC) - datetime(2026, 12, 1, 5, tzinfo=UTC)).days
    young, old = log_of(tmp_path / "logs", "a_train", -days), log_of(tmp_path / "logs", "b_train", 400)
    assert tidy_logs(dry_run=True) == 1 and old.exists()
    assert tidy_logs(dry_run=False) == 1
    assert (young.exists(), old.exists()) == (True, False)
