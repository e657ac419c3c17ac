"""Old logs of tasks go; a service's log that others append to is cut to its last lines."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from ghostwriter.home import Home
from ghostwriter.keeping.logs import KEPT_OF_LOG, LONGEST_LOG, tidy_logs
from tests.ghostwriter.keeping.nights_case import age

NOW = datetime(2026, 12, 1, 5, tzinfo=UTC)


def log_of(logs: Path, dag: str, days: int) -> Path:
    folder = logs / f"dag_id={dag}" / f"run_id=scheduled__{days}"
    (folder / "task_id=train").mkdir(parents=True)
    (folder / "task_id=train" / "attempt=1.log").write_text("done")
    age(folder, NOW - timedelta(days=days))
    return folder


def test_logs_of_the_last_days_stay(tmp_path: Path) -> None:
    logs = tmp_path / "airflow" / "logs"
    young, old, alone = log_of(logs, "a_train", 29), log_of(logs, "a_train", 31), log_of(logs, "b_train", 400)
    day = logs / "dag_processor" / "2026-10-01"
    day.mkdir(parents=True)
    age(day, NOW - timedelta(days=61))
    (logs / "dag_processor" / "latest").symlink_to(day)
    told = tidy_logs(Home(tmp_path), logs, NOW, 30, dry_run=True)
    assert all(folder.exists() for folder in (young, old, alone, day))
    assert sorted(told) == sorted([old, alone, day]) == sorted(tidy_logs(Home(tmp_path), logs, NOW, 30))
    assert [folder.exists() for folder in (young, old, alone, alone.parent, day)] == [True, False, False, False, False]


def test_a_long_log_keeps_its_last_lines_and_whoever_appends_to_it_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "mlflow.log"
    path.parent.mkdir()
    line = b"x" * 99 + b"\n"
    path.write_bytes(line * (LONGEST_LOG // 100 + 1))
    with path.open("ab") as service:
        tidy_logs(Home(tmp_path), tmp_path / "none", NOW, 30)
        service.write(b"after\n")
    left = path.read_bytes()
    assert KEPT_OF_LOG - 200 < len(left) < KEPT_OF_LOG + 200
    assert left.startswith(line)
    assert left.endswith(line + b"after\n")
    assert list(path.parent.iterdir()) == [path]
