"""How a run is put into words: a night without news, a verdict, a failure with its reason."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from airflow.models.deadline import Deadline
from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from ghostwriter.page.nights import in_words, passed_deadline

STATEMENT = "3 new, 0 changed, 0 newly gone. 179 saved, as many as the site says."


RUNS: list[tuple[str, str, dict[str, str | None], dict[tuple[str, str], object], tuple[str, str]]] = [
    (
        "collect",
        "success",
        {"read_site": "success", "snapshot": "skipped"},
        {("read_site", "return_value"): {"statement": "0 new"}},
        ("quiet", "Nothing new, so nothing was trained."),
    ),
    (
        "collect",
        "success",
        {"read_site": "success", "snapshot": "success"},
        {("read_site", "return_value"): {"statement": STATEMENT}},
        ("good", STATEMENT),
    ),
    (
        "distill",
        "failed",
        {"ask_teacher": "failed"},
        {("ask_teacher", "problem"): "The teacher refused the key. Renew the connection."},
        ("bad", "The teacher refused the key. Renew the connection."),
    ),
    (
        "train",
        "failed",
        {"plan": "success", "train": "failed", "judge": "upstream_failed"},
        {},
        ("bad", "train failed. The log of the task says why."),
    ),
    (
        "train",
        "success",
        {"judge": "success", "promote": "skipped"},
        {("judge", "return_value"): {"summary": "Not promoted: it copies."}},
        ("quiet", "Not promoted: it copies."),
    ),
    (
        "train",
        "success",
        {"judge": "success", "promote": "success"},
        {("judge", "return_value"): {"summary": "Promote: better than base."}},
        ("good", "Promote: better than base."),
    ),
    (
        "distill",
        "success",
        {"estimate_cost": "success", "ask_teacher": "skipped"},
        {},
        ("quiet", "Only the cost was asked for; the log of estimate_cost says it."),
    ),
    ("distill", "success", {"find_answers": "skipped", "ask_teacher": "skipped"}, {}, ("quiet", "Nothing new, so nothing was done.")),
    ("train", "success", {"plan": "skipped", "train": "skipped"}, {}, ("quiet", "Nothing new, so nothing was done.")),
    ("train", "running", {"plan": "success", "train": "running", "judge": None}, {}, ("busy", "At work: train.")),
    ("train", "queued", {"plan": None}, {}, ("busy", "Waits for its turn.")),
]
"""A run, and what is said of it."""


@pytest.mark.parametrize(("stage", "state", "tasks", "told", "expected"), RUNS)
def test_a_run_in_words(
    stage: str, state: str, tasks: dict[str, str | None], told: dict[tuple[str, str], object], expected: tuple[str, str]
) -> None:
    assert in_words(stage, state, tasks, told) == expected


@pytest.mark.parametrize(
    ("state", "minutes", "late"), [("running", -5, True), ("queued", -5, True), ("running", 5, False), ("failed", -5, False)]
)
def test_a_run_that_is_not_done_by_its_deadline_is_late(state: str, minutes: int, late: bool) -> None:
    engine, due = create_engine("sqlite://"), datetime.now(UTC) + timedelta(minutes=minutes)
    table: Any = Deadline.__table__
    table.create(engine)
    with Session(engine) as session:
        row = {"id": uuid4(), "dagrun_id": 7, "deadline_time": due, "missed": False, "callback_id": uuid4(), "created_at": due}
        session.execute(table.insert(), [{**row, "last_updated_at": due}])
        run: Any = SimpleNamespace(id=7, state=state)
        assert passed_deadline(session, run) == (due if late else None)
