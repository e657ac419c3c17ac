"""A run that is late, and one that its time limit ended, are told through what the writer file names."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from ghostwriter.home import ROOT
from ghostwriter.tasks import late
from ghostwriter.tasks.late import RunTimeout, tell_late
from ghostwriter.writer import Writer
from tests.distill_case import make_writer


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, str]]:
    """Whose message, its first line, its words; tests/ghostwriter/tasks/test_notify.py has them arrive."""
    kept: list[tuple[str, str, str]] = []

    def tell(writer: Writer, what: str, words: str) -> int:
        kept.append((writer.stem, what, words))
        return 1

    monkeypatch.setattr(late, "tell", tell)
    return kept


def test_a_run_that_is_late_is_told_on_the_writers_clock(
    told: list[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    lamplight = (ROOT / "writers" / "lamplight.toml").read_text().replace("Europe/London", "Asia/Shanghai")
    (tmp_path / "lamplight.toml").write_text(lamplight)
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path))
    run = {"dag_id": "lamplight_train", "dag_run_id": "scheduled__1"}
    asyncio.run(tell_late("lamplight", {"dag_run": run, "deadline": {"deadline_time": "2026-12-01T05:30:00+00:00"}}))
    ((stem, what, words),) = told
    assert (stem, what) == ("lamplight", "lamplight_train is late.")
    assert words.startswith("The run scheduled__1 was to be done by 2026-12-01 13:30 (Asia/Shanghai), and is not.")


def test_of_a_runs_ends_only_that_by_its_time_limit_is_told(told: list[tuple[str, str, str]]) -> None:
    ended: dict[str, Any] = {"dag": DAG("tester_train", schedule=None), "run_id": "manual__1"}
    for reason in ("task_failure", "timed_out"):
        RunTimeout(make_writer())({**ended, "reason": reason})
    ((_, what, words),) = told
    assert what == "tester_train took too long and was ended."
    assert words.startswith("The run manual__1 is over.")


def test_a_chinese_writers_are_told_in_chinese(told: list[tuple[str, str, str]]) -> None:
    RunTimeout(make_writer("zh"))({"dag": DAG("tester_train", schedule=None), "run_id": "1", "reason": "timed_out"})
    assert told[0][1] == "tester_train 超时，已中止。"
