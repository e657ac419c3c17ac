"""Batches: submitted once, found again after a crash, applied row by row, and never for a row that the ledger holds."""

import asyncio
import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

import ghostwriter.distilling.batch
from ghostwriter.database import open_database
from ghostwriter.distilling.batch import apply_batch, batch_status, forget_batch, open_batch
from ghostwriter.distilling.distill import BatchOpen, distill, estimate
from ghostwriter.distilling.forecast import BuysAgain
from ghostwriter.errors import BudgetExceeded, TeacherError
from ghostwriter.home import Home
from ghostwriter.snapshot import read_manifest
from ghostwriter.teacher.batch_ledger import BatchLedger
from ghostwriter.teacher.client import TeacherKeyRefused
from ghostwriter.teacher.ledger import Ledger, SendRow
from tests.batch_teacher import BatchTeacher
from tests.distill_case import PRICES, answers_of, distilled, endpoint, make_writer, pairs
from tests.teacher_server import TeacherScript, TeacherServer


def sends(home: Home) -> dict[tuple[str, bool], int]:
    """Number of sends by state, and whether they went with a batch."""
    columns = select(SendRow.state, SendRow.batch.is_not(None).label("batch"), func.count().label("number"))
    with open_database(home.database_url).connect() as connection:
        return {(row.state, bool(row.batch)): row.number for row in connection.execute(columns.group_by(SendRow.state, "batch"))}


def batch_of(writer: Any, home: Home, answers: Path, teacher: BatchTeacher) -> str:
    batch = open_batch(writer, home, answers, endpoint(teacher))
    assert batch is not None
    return batch


def test_a_batch_brings_all_answers_at_half_the_price_and_distilling_asks_nothing_more(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=30, budget=PRICES)
    with BatchTeacher() as teacher:
        answers = answers_of(home, pairs(60))
        batch = batch_of(writer, home, answers, teacher)
        assert batch_status(endpoint(teacher), batch) == "finished"
        assert apply_batch(writer, home, endpoint(teacher), batch) == {"answered": 30, "refused": 0, "left": 0}
        assert open_batch(writer, home, answers, endpoint(teacher)) is None
        folder = distill(writer, home, answers, endpoint(teacher))
        assert teacher.completions == 30
    assert len(distilled(folder)) == 30
    assert sends(home) == {("paid", True): 30}
    other = Home(tmp_path / "other")
    with BatchTeacher() as teacher:
        alone = distill(writer, other, answers_of(other, pairs(60)), endpoint(teacher))
    assert alone.name == folder.name
    costs = [Decimal(read_manifest(made).facts["cost"]["run"]) for made in (folder, alone)]
    assert costs[0] == costs[1] / 2


def test_only_rows_missing_from_the_ledger_are_submitted(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with BatchTeacher() as teacher:
        answers = answers_of(home, pairs(60))
        distill(make_writer(answers=20), home, answers, endpoint(teacher))
        batch_of(make_writer(answers=30), home, answers, teacher)
        assert len(teacher.files["file-1"].splitlines()) == 10


def test_an_open_batch_is_found_again_and_not_submitted_twice(either_database: Home) -> None:
    home, writer = either_database, make_writer(answers=10)
    with BatchTeacher(TeacherScript(batch_seconds=60)) as teacher:
        answers = answers_of(home, pairs(60))
        first = batch_of(writer, home, answers, teacher)
        assert batch_status(endpoint(teacher), first) == "open"
        assert batch_of(writer, home, answers, teacher) == first
        assert len(teacher.batches) == 1


def test_a_batch_whose_id_was_lost_is_found_by_its_name(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with BatchTeacher(lose_created=True) as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(TeacherError, match="lost"):
            open_batch(writer, home, answers, endpoint(teacher))
        assert batch_of(writer, home, answers, teacher) == "batch_1"
        assert len(teacher.batches) == 1


def test_a_batch_that_never_reached_the_teacher_is_submitted_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ghostwriter.distilling.batch, "LISTED_SECONDS", 0)
    home, writer = Home(tmp_path), make_writer(answers=10)
    answers = answers_of(home, pairs(60))
    with BatchTeacher(TeacherScript(fault=lambda number: "drop" if number == 2 else None)) as teacher, pytest.raises(TeacherError):
        open_batch(writer, home, answers, endpoint(teacher))
    assert sends(home) == {("in_flight", True): 10}
    with BatchTeacher() as teacher:
        batch_of(writer, home, answers, teacher)
        assert len(teacher.batches) == 1
    assert sends(home) == {("free", False): 10, ("in_flight", True): 10}


def test_a_batch_that_the_teacher_lists_a_moment_later_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ghostwriter.distilling.batch, "LOOK_SECONDS", 0.01)
    home, writer = Home(tmp_path), make_writer(answers=10)
    with BatchTeacher(lose_created=True, unlisted_looks=2) as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(TeacherError, match="lost"):
            open_batch(writer, home, answers, endpoint(teacher))
        assert batch_of(writer, home, answers, teacher) == "batch_1"
        assert len(teacher.batches) == 1


def test_an_output_file_that_is_gone_closes_the_batch_as_perhaps_paid(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with BatchTeacher(lose_output=True) as teacher:
        answers = answers_of(home, pairs(60))
        batch = batch_of(writer, home, answers, teacher)
        batch_status(endpoint(teacher), batch)
        assert apply_batch(writer, home, endpoint(teacher), batch) == {"answered": 0, "refused": 0, "left": 10}
        assert sends(home) == {("perhaps_paid", True): 10}
        assert forget_batch(writer, home) is None


def test_a_batch_that_would_buy_much_again_is_not_submitted_unasked(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with BatchTeacher() as teacher:
        answers = answers_of(home, pairs(60))
        distill(make_writer(answers=60), home, answers, endpoint(teacher))
        with pytest.raises(BuysAgain, match=r"60 answers would be bought again, where the ledger holds 60"):
            open_batch(make_writer(answers=60, prompt="zh"), home, answers, endpoint(teacher))
        assert teacher.batches == {}
        assert open_batch(make_writer(answers=60, prompt="zh"), home, answers, endpoint(teacher), buy_again=True) == "batch_1"


def test_a_refused_upload_leaves_nothing_open(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with TeacherServer() as teacher, pytest.raises(TeacherError, match=r"404.*no Batch API \(then set teacher\.batch = false\)"):
        open_batch(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
    assert sends(home) == {("free", False): 10}


def test_a_batch_of_an_older_snapshot_and_prompt_is_applied_before_another_is_submitted(either_database: Home) -> None:
    home = either_database
    with BatchTeacher() as teacher:
        older = answers_of(home, pairs(60))
        first = batch_of(make_writer(answers=10), home, older, teacher)
        grown = answers_of(home, pairs(70))
        assert batch_of(make_writer(answers=10, prompt="zh"), home, grown, teacher) == first
        assert batch_status(endpoint(teacher), first) == "finished"
        counts = apply_batch(make_writer(answers=10, prompt="zh"), home, endpoint(teacher), first)
        assert counts == {"answered": 10, "refused": 0, "left": 0}
        assert estimate(make_writer(answers=10), home, older).in_ledger == 10
        assert batch_of(make_writer(answers=10, prompt="zh"), home, grown, teacher) == "batch_2"


def test_a_batch_refused_as_a_whole_is_said_and_costs_nothing(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with BatchTeacher(refuse="Enqueued token limit reached") as teacher:
        answers = answers_of(home, pairs(60))
        batch = batch_of(writer, home, answers, teacher)
        batch_status(endpoint(teacher), batch)
        with pytest.raises(TeacherError, match="refused batch batch_1: Enqueued token limit reached"):
            apply_batch(writer, home, endpoint(teacher), batch)
        assert sends(home) == {("free", False): 10}
        assert batch_of(writer, home, answers, teacher) == "batch_2"


def test_what_an_unreadable_output_file_hides_counts_as_perhaps_paid(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with BatchTeacher(cut_output=True) as teacher:
        batch = batch_of(writer, home, answers_of(home, pairs(60)), teacher)
        batch_status(endpoint(teacher), batch)
        counts = apply_batch(writer, home, endpoint(teacher), batch)
    assert counts["answered"] + counts["left"] == 10
    assert counts["left"] >= 4
    assert sends(home) == {("paid", True): counts["answered"], ("perhaps_paid", True): counts["left"]}


def test_a_batch_can_be_given_up(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with BatchTeacher(TeacherScript(batch_seconds=60)) as teacher:
        answers = answers_of(home, pairs(60))
        assert forget_batch(writer, home) is None
        batch_of(writer, home, answers, teacher)
        assert forget_batch(writer, home) == "batch_1"
        assert sends(home) == {("perhaps_paid", True): 10}
        assert len(distilled(distill(writer, home, answers, endpoint(teacher)))) == 10


def test_rows_the_batch_did_not_answer_are_free_and_asked_one_by_one(either_database: Home) -> None:
    home, writer = either_database, make_writer(answers=20)
    with BatchTeacher(TeacherScript(batch_drops=4)) as teacher:
        answers = answers_of(home, pairs(60))
        batch = batch_of(writer, home, answers, teacher)
        assert batch_status(endpoint(teacher), batch) == "finished"
        assert apply_batch(writer, home, endpoint(teacher), batch) == {"answered": 16, "refused": 4, "left": 0}
        assert open_batch(writer, home, answers, endpoint(teacher)) is None
        assert len(distilled(distill(writer, home, answers, endpoint(teacher)))) == 20
        assert teacher.completions == 20
    assert sends(home) == {("paid", True): 16, ("free", True): 4, ("paid", False): 4}


def test_applying_goes_on_after_a_crash_in_the_middle(either_database: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    home, writer = either_database, make_writer(answers=20)
    apply, left = ghostwriter.distilling.batch._apply, iter(range(7))

    def crashing(*arguments: Any) -> str:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return apply(*arguments)

    with BatchTeacher() as teacher:
        answers = answers_of(home, pairs(60))
        batch = batch_of(writer, home, answers, teacher)
        assert batch_status(endpoint(teacher), batch) == "finished"
        with monkeypatch.context() as patched:
            patched.setattr(ghostwriter.distilling.batch, "_apply", crashing)
            with pytest.raises(KeyboardInterrupt):
                apply_batch(writer, home, endpoint(teacher), batch)
        assert batch_of(writer, home, answers, teacher) == batch
        assert apply_batch(writer, home, endpoint(teacher), batch)["answered"] == 13
    assert sends(home) == {("paid", True): 20}


def test_while_a_batch_is_open_nothing_is_bought_beside_it(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with BatchTeacher(TeacherScript(batch_seconds=60)) as teacher:
        answers = answers_of(home, pairs(60))
        batch_of(writer, home, answers, teacher)
        with pytest.raises(BatchOpen, match="Batch batch_1 is still open"):
            distill(writer, home, answers, endpoint(teacher))
        assert teacher.completions == 0
    ledger = Ledger(open_database(home.database_url), "tester")
    assert ledger.close_interrupted().perhaps_paid_sends == 0


def test_a_batch_that_could_cross_the_cap_is_not_submitted(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=30, budget={**PRICES, "cap": Decimal("0.05")})
    with BatchTeacher() as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(BudgetExceeded, match=r"cap is 0\.0500\. Nothing was submitted"):
            open_batch(writer, home, answers, endpoint(teacher))
        assert (teacher.files, teacher.batches) == ({}, {})
        assert BatchLedger(open_database(home.database_url), "tester").open() is None
        assert estimate(writer, home, answers).spent == 0


def test_a_wrong_key_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with BatchTeacher() as teacher, pytest.raises(TeacherKeyRefused, match="Put a key that may use this model"):
        open_batch(make_writer(answers=5), home, answers_of(home, pairs(60)), endpoint(teacher, "sk-wrong"))


def test_the_trigger_fires_when_the_batch_is_finished_and_carries_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghostwriter.tasks import batch_trigger

    home, writer = Home(tmp_path), make_writer(answers=5)
    with BatchTeacher(TeacherScript(batch_seconds=0.3)) as teacher:
        batch = batch_of(writer, home, answers_of(home, pairs(60)), teacher)
        monkeypatch.setenv(
            "AIRFLOW_CONN_TEACHER", f'{{"conn_type": "http", "host": "{teacher.base_url}", "password": "sk-test-4f8c2d7e91ab"}}'
        )
        trigger = batch_trigger.BatchTrigger("teacher", batch, poll_seconds=0.1)

        async def first() -> Any:
            async for event in trigger.run():
                return event.payload
            return None

        assert asyncio.run(first()) == {"batch": batch, "error": None}
    path, values = trigger.serialize()
    assert path == "ghostwriter.tasks.batch_trigger.BatchTrigger"
    assert values == {"connection": "teacher", "batch": batch, "poll_seconds": 0.1, "until": None}


def test_a_batch_that_never_ends_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ghostwriter.tasks.batch_trigger import BatchTrigger

    home, writer = Home(tmp_path), make_writer(answers=5)
    with BatchTeacher(TeacherScript(batch_seconds=600)) as teacher:
        batch = batch_of(writer, home, answers_of(home, pairs(60)), teacher)
        connection = {"conn_type": "http", "host": teacher.base_url, "password": "sk-test-4f8c2d7e91ab"}
        monkeypatch.setenv("AIRFLOW_CONN_TEACHER", json.dumps(connection))
        trigger = BatchTrigger("teacher", batch, poll_seconds=0.1, until=time.time() + 0.3)

        async def first() -> Any:
            return [event.payload async for event in trigger.run()]

        (told,) = asyncio.run(asyncio.wait_for(first(), 30))
    assert told["batch"] == batch and "is not finished after 26 hours" in told["error"] and "--forget-batch" in told["error"]


def test_a_task_that_waited_before_the_modules_moved_is_woken() -> None:
    """Airflow's table names the trigger's class as it was then, and the triggerer imports it by that name."""
    from ghostwriter.batch_trigger import BatchTrigger

    trigger = BatchTrigger(connection="teacher", batch="batch_1", poll_seconds=60.0)
    assert trigger.serialize()[0] == "ghostwriter.tasks.batch_trigger.BatchTrigger"
