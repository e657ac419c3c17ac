"""What a writer may cost in a calendar month: whose money counts, when the month turns, and how a run stops at it."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.orm import Session

from ghostwriter.database import open_database
from ghostwriter.distilling.batch import open_batch
from ghostwriter.distilling.distill import distill, estimate
from ghostwriter.home import Home
from ghostwriter.model_settings import Budget, Judge
from ghostwriter.teacher.ledger import SendRow
from ghostwriter.teacher.month import GRAIN, Month, MonthSpent, month_start
from ghostwriter.writer import Writer
from ghostwriter.writer_settings import Schedule
from tests.batch_teacher import BatchTeacher
from tests.distill_case import PRICES, answers_of, distilled, endpoint, make_writer, pairs
from tests.teacher_server import TeacherServer

SHANGHAI = Schedule(timezone="Asia/Shanghai")
NEW_YEAR = datetime(2026, 12, 31, 16, tzinfo=UTC)
"""Midnight in Shanghai."""


def limited(month: str, **settings: Any) -> Writer:
    writer = make_writer(answers=60, budget={**PRICES, "month": Decimal(month)}, **settings)
    return writer.model_copy(update={"schedule": SHANGHAI})


def sent(home: Home, *sends: tuple[str, str, str, datetime]) -> None:
    """Sends (ledger, run, cost, time) that were paid."""
    with Session(open_database(home.database_url)) as session, session.begin():
        for number, (ledger, run, cost, when) in enumerate(sends):
            name = f"{number}"
            session.add(SendRow(id=name, key=name, writer=ledger, run=run, state="paid", sent=when, worst=Decimal(9), cost=Decimal(cost)))


def test_a_month_begins_on_the_writers_own_clock() -> None:
    assert month_start(datetime(2026, 12, 31, 15, 59, tzinfo=UTC), "Asia/Shanghai") == datetime(2026, 11, 30, 16, tzinfo=UTC)
    assert month_start(NEW_YEAR, "Asia/Shanghai") == NEW_YEAR


def test_the_judge_and_other_runs_count_and_last_month_does_not(either_database: Home) -> None:
    day, last = datetime(2026, 12, 30, tzinfo=UTC), datetime(2026, 11, 30, 15, tzinfo=UTC)
    sends = [("tester", "mine", "1", day), ("tester", "yesterdays", "2", day), ("tester-judge", "judges", "3", day)]
    sent(either_database, *sends, ("tester", "mine", "50", last), ("another", "another", "50", day))
    month = Month(limited("10"), open_database(either_database.database_url), "mine", Decimal(51), lambda: day)
    month.check(Decimal(51), Decimal(2), Decimal(2))
    words = (
        r"month's limit of 10\.0000 is reached: 8\.0000 spent on Tess Ter since 01 December .*next call could cost 2\.5000\. "
        r"Everything bought is kept\. From 01 January 2027 \(Asia/Shanghai\) .*raise budget\.month"
    )
    with pytest.raises(MonthSpent, match=words):
        month.check(Decimal(51), Decimal(2), Decimal("2.5"))


def test_what_another_run_spends_meanwhile_is_seen_before_the_limit_is_crossed(home: Home) -> None:
    day = datetime(2026, 12, 30, tzinfo=UTC)
    month = Month(limited("10"), open_database(home.database_url), "mine", Decimal(0), lambda: day)
    month.check(Decimal(0), Decimal(0), Decimal(9))
    month._read -= 31
    sent(home, ("tester-judge", "judges", "8", day))
    with pytest.raises(MonthSpent, match=r"8\.0000 spent"):
        month.check(Decimal(0), Decimal(0), Decimal(3))


def test_a_run_that_goes_on_into_the_next_month_begins_there_at_nothing_but_what_is_in_flight(home: Home) -> None:
    time = [datetime(2026, 12, 31, 15, 59, tzinfo=UTC)]
    month = Month(limited("10"), open_database(home.database_url), "mine", Decimal(0), lambda: time[0])
    with pytest.raises(MonthSpent):
        month.check(Decimal(9), Decimal(1), Decimal(2))
    time[0] = NEW_YEAR
    month.check(Decimal(9), Decimal(1), Decimal(9))
    with pytest.raises(MonthSpent, match=r"since 01 January .*From 01 February 2027"):
        month.check(Decimal(9), Decimal(1), Decimal("9.5"))


def test_a_run_stops_at_the_month_and_a_higher_limit_goes_on_from_there(home: Home) -> None:
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        sent(home, ("tester-judge", "judges", "0.95", datetime.now(UTC)))
        with pytest.raises(MonthSpent, match="Everything bought is kept"):
            distill(limited("1"), home, answers, endpoint(teacher))
        stopped = teacher.completions
        assert 0 < stopped < 60
        plan = estimate(limited("1"), home, answers)
        assert Decimal("0.97") < plan.month_spent <= 1
        assert 0 <= plan.month_spent - (plan.spent + Decimal("0.95")) < GRAIN  # rounded up
        assert f"spent this month {plan.month_spent:.4f} of 1.0000." in str(plan)
        assert "The month's limit will be reached before the end" in str(plan)
        assert len(distilled(distill(limited("2"), home, answers, endpoint(teacher)))) == 60
        assert teacher.completions == 60


def test_a_batch_that_could_cross_the_month_is_not_submitted(home: Home) -> None:
    with BatchTeacher() as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(MonthSpent):
            open_batch(limited("0.05"), home, answers, endpoint(teacher))
        assert teacher.batches == {}


def test_the_student_in_the_teachers_place_is_under_the_same_month() -> None:
    assert limited("7").asking("self-instruct").budget.month == Decimal(7)


def test_a_second_limit_of_a_month_is_refused() -> None:
    judge = Judge(budget=Budget(month=Decimal(5)))
    with pytest.raises(ValueError, match=r"judge\.budget\.month: a month has one limit, for all of them"):
        Writer.model_validate({**make_writer().model_dump(), "judge": judge})
