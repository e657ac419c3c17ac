"""A bad teacher: each fault is named, nothing that was bought is lost, and the key is nowhere."""

import logging
import sqlite3
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event, select

import ghostwriter.database
import ghostwriter.teacher.journal
from ghostwriter.database import open_database
from ghostwriter.distilling.distill import distill
from ghostwriter.errors import GhostwriterError, HomeError, TeacherError
from ghostwriter.home import Home
from ghostwriter.snapshot import read_manifest
from ghostwriter.teacher.client import TeacherDown, TeacherKeyRefused, TeacherModelUnknown, TeacherQuotaUsed, TeacherUnfit
from ghostwriter.teacher.ledger import SendRow
from tests.distill_case import PRICES, answers_of, distilled, endpoint, make_writer, pairs
from tests.teacher_server import KEY, TeacherScript, TeacherServer


def now_and_then(fault: str, every: int) -> Callable[[int], str | None]:
    return lambda number: fault if number % every == 0 else None


def faults(home: Home) -> list[tuple[str, str | None]]:
    with open_database(home.database_url).connect() as connection:
        return [(row.state, row.fault) for row in connection.execute(select(SendRow.state, SendRow.fault)) if row.fault]


@pytest.mark.parametrize(
    ("fault", "recorded"),
    [
        ("503", ("free", "server_error")),
        ("504", ("perhaps_paid", "server_error")),
        ("malformed", ("perhaps_paid", "malformed")),
        ("drop", ("perhaps_paid", "connection_lost")),
        ("hang", ("perhaps_paid", "timeout")),
    ],
)
def test_a_fault_now_and_then_is_tried_again_and_nothing_is_missing(tmp_path: Path, fault: str, recorded: tuple[str, str]) -> None:
    home, writer = Home(tmp_path), make_writer(answers=20, timeout_seconds=0.7)
    with TeacherServer(TeacherScript(fault=now_and_then(fault, 6))) as teacher:
        folder = distill(writer, home, answers_of(home, pairs(40)), endpoint(teacher))
    assert len(distilled(folder)) == 20
    assert set(faults(home)) == {recorded}


def test_what_may_have_been_paid_counts_at_its_worst_price(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=12, budget=PRICES)
    with TeacherServer(TeacherScript(fault=now_and_then("drop", 5))) as teacher:
        cost = read_manifest(distill(writer, home, answers_of(home, pairs(40)), endpoint(teacher))).facts["cost"]
    with open_database(home.database_url).connect() as connection:
        rows = connection.execute(select(SendRow.state, SendRow.worst, SendRow.cost)).all()
    lost = sum(row.worst for row in rows if row.state == "perhaps_paid")
    assert lost > 0
    assert cost["run_perhaps_paid"] == str(lost)
    assert cost["run"] == str(lost + sum(row.cost for row in rows if row.state == "paid"))


def test_an_answer_without_choices_is_paid_for_once_and_rejected(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=20)
    with TeacherServer(TeacherScript(fault=now_and_then("no_choices", 5))) as teacher:
        answers = answers_of(home, pairs(40))
        counts = read_manifest(distill(writer, home, answers, endpoint(teacher))).facts["counts"]
        bought = teacher.requests
        distill(writer, home, answers, endpoint(teacher))
        assert teacher.requests == bought
    assert counts["accepted"] == 20
    assert counts["rejected"]["empty"] == bought - 20 >= 4


@pytest.mark.parametrize(
    ("script", "key", "model", "error", "words"),
    [
        (TeacherScript(), "sk-wrong", "test-teacher", TeacherKeyRefused, "Incorrect API key.*Put a key that may use this model"),
        (TeacherScript(), KEY, "gpt-none", TeacherModelUnknown, "`gpt-none` does not exist.*Write a model that this endpoint serves"),
        (TeacherScript(fault=lambda number: "quota"), KEY, "test-teacher", TeacherQuotaUsed, "exceeded your current quota.*Top up"),
    ],
)
def test_what_no_retry_can_mend_stops_at_once(
    tmp_path: Path, script: TeacherScript, key: str, model: str, error: type[GhostwriterError], words: str
) -> None:
    home = Home(tmp_path)
    with TeacherServer(script) as teacher:
        with pytest.raises(error, match=words):
            distill(make_writer(answers=30, model=model), home, answers_of(home, pairs(40)), endpoint(teacher, key))
        assert teacher.requests <= 8
    assert not error.retryable


def test_a_context_that_is_always_too_long_stops_after_a_few_calls(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with TeacherServer(TeacherScript(context_tokens=500)) as teacher:
        with pytest.raises(TeacherError, match=r"first 10 calls all failed, the last with context_too_long.*maximum context length is 500"):
            distill(make_writer(answers=30), home, answers_of(home, pairs(40)), endpoint(teacher))
        assert teacher.requests < 30


def test_more_failures_than_the_share_allows_fail_the_run_and_the_answers_stay(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=40, failed_share=0.1)
    with TeacherServer(TeacherScript(fault=now_and_then("400", 4))) as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(TeacherUnfit, match=r"of 40 calls failed, more than teacher\.failed_share = 0\.1 allows.*bad_request"):
            distill(writer, home, answers, endpoint(teacher))
        bought = teacher.completions
        teacher.script.fault = lambda number: None
        assert len(distilled(distill(writer, home, answers, endpoint(teacher)))) == 40
        assert teacher.completions == 40 > bought > 10


def test_a_few_failures_are_counted_and_replaced(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=40, failed_share=0.2)
    with TeacherServer(TeacherScript(fault=now_and_then("400", 10))) as teacher:
        folder = distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
    counts = read_manifest(folder).facts["counts"]
    assert counts["accepted"] == 40
    assert counts["planned"] == 40 + counts["failed"]["bad_request"] > 40


def test_a_teacher_that_answers_500_for_long_is_left_and_the_run_goes_on_later(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=40, outage_seconds=1.5)
    with TeacherServer(TeacherScript(fault=lambda number: "500" if number > 15 else None)) as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(TeacherDown, match=r"No answer for \d s, the last error was server_error: 500: scripted 500.*run again later"):
            distill(writer, home, answers, endpoint(teacher))
        assert teacher.completions == 15
        teacher.script.fault = lambda number: None
        assert len(distilled(distill(writer, home, answers, endpoint(teacher)))) == 40
        assert teacher.completions == 40
    assert TeacherDown.retryable


def test_a_rate_limit_is_obeyed_and_costs_no_answer(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=20)
    with TeacherServer(TeacherScript(answers_per_second=5, retry_after="0.3")) as teacher:
        folder = distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
        assert teacher.statuses[429] > 0
        assert teacher.completions == 20
    assert len(distilled(folder)) == 20
    assert set(faults(home)) == {("free", "rate_limit")}


def test_a_wait_longer_than_an_outage_ends_the_run_at_once(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=40)
    words = r"asks to wait 86400 s \(rate_limit.*longer than teacher\.outage_seconds = 300"
    with TeacherServer(TeacherScript(answers_per_second=5, retry_after="86400")) as teacher, pytest.raises(TeacherDown, match=words):
        distill(writer, home, answers_of(home, pairs(60)), endpoint(teacher))
    assert set(faults(home)) == {("free", "rate_limit")}


def test_a_run_that_ends_waits_for_no_turn_of_a_slow_limit(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=40, requests_per_minute=12, failed_share=0)
    with TeacherServer(TeacherScript(fault=lambda number: "401")) as teacher:
        answers, started = answers_of(home, pairs(60)), time.monotonic()
        with pytest.raises(TeacherKeyRefused):
            distill(writer, home, answers, endpoint(teacher))
        assert teacher.requests == 1
    assert time.monotonic() - started < 30  # the last of eight workers would have its turn after 35 s


def test_a_ledger_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(40))
        distill(writer, home, answers, endpoint(teacher))
        event.listen(Engine, "connect", _no_page_more)
        try:
            with pytest.raises(HomeError, match="ledger cannot be written: database or disk is full"):
                distill(make_writer(answers=900), home, answers, endpoint(teacher))
        finally:
            event.remove(Engine, "connect", _no_page_more)
        assert teacher.completions < 900


@pytest.mark.parametrize(("pauses", "failures"), [((0.02,), 2), ((0.02, 0.02), 1)])
def test_a_database_that_is_locked_for_a_while_loses_no_answer_that_was_paid_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pauses: tuple[float, ...], failures: int
) -> None:
    """Locked for longer than a commit is tried, the run ends after the replies in flight came; else nothing is noticed."""
    monkeypatch.setattr(ghostwriter.database, "BUSY_TIMEOUT_SECONDS", 0.02)
    monkeypatch.setattr(ghostwriter.teacher.journal, "PAUSES", pauses)
    home, writer = Home(tmp_path), make_writer(answers=60, concurrency=16)
    answers = answers_of(home, pairs(80))
    other = OtherProcess(home, at_request=30, failures=failures)
    with other.listening(), TeacherServer(TeacherScript(latency=0.1, fault=other)) as teacher:
        if failures > 1:
            with pytest.raises(HomeError, match=r"The ledger cannot be written: database is locked.*what was bought is kept"):
                distill(writer, home, answers, endpoint(teacher))
            assert 30 <= teacher.completions < 60
            assert states(home) == {"paid": teacher.completions}
        distill(writer, home, answers, endpoint(teacher))
        assert states(home) == {"paid": teacher.completions}
        assert other.released


class OtherProcess(logging.Handler):
    """Takes the database for itself when the teacher gets a certain request, until the journal has noticed so many times."""

    def __init__(self, home: Home, at_request: int, failures: int) -> None:
        super().__init__()
        self.database, self.at_request, self.failures, self.released = home.path / "ghostwriter.db", at_request, failures, False

    def __call__(self, number: int) -> None:
        if number == self.at_request:
            self.connection = sqlite3.connect(self.database, timeout=10, isolation_level=None, check_same_thread=False)
            self.connection.execute("BEGIN IMMEDIATE")

    def emit(self, record: logging.LogRecord) -> None:
        self.failures -= 1
        if not self.failures:
            self.connection.close()
            self.released = True

    @contextmanager
    def listening(self) -> Iterator[None]:
        journal = logging.getLogger("ghostwriter.teacher.journal")
        journal.addHandler(self)
        try:
            yield
        finally:
            journal.removeHandler(self)


def states(home: Home) -> Counter[str]:
    with open_database(home.database_url).connect() as connection:
        return Counter(connection.execute(select(SendRow.state)).scalars())


def _no_page_more(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA max_page_count = 1")  # SQLite keeps the pages there are: a full disk


@pytest.mark.parametrize("fault", ["401", "400", "429", "500", "malformed", "drop", None])
def test_the_key_is_in_no_log_exception_ledger_or_manifest(tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str | None) -> None:
    caplog.set_level(logging.DEBUG)
    home, writer = Home(tmp_path), make_writer(answers=15, outage_seconds=0.6, failed_share=1)
    told = ""
    with TeacherServer(TeacherScript(echo_key=True, fault=lambda number: fault if number > 6 else None)) as teacher:
        access = endpoint(teacher)
        try:
            distill(writer, home, answers_of(home, pairs(40)), access)
        except GhostwriterError as error:
            told = "".join(traceback.format_exception(error)) + repr(error.__context__) + repr(error.__cause__)
    assert fault is None or told or fault in ("400", "drop")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    logged = "\n".join(f"{record.getMessage()} {record.exc_text} {record.args}" for record in caplog.records)
    assert "Distilling for" in logged
    for place in (told, logged, repr(access), str(access), access.model_dump_json()):
        assert KEY not in place
    assert KEY.encode() not in written
