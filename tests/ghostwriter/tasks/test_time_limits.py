"""From a writer file's numbers to how long its tasks may take."""

from datetime import timedelta
from typing import Any

import pytest

from ghostwriter.model_settings import Judge
from ghostwriter.tasks.time_limits import SHORT, TimeLimits, longest, time_limits
from ghostwriter.writer import Writer
from ghostwriter.writer_settings import Limits, Source
from tests.distill_case import make_writer
from training.contract import load_recipe


def limits(writer: Writer | None = None, **changes: Any) -> TimeLimits:
    return time_limits((writer or make_writer()).model_copy(update=changes))


def test_a_teacher_has_three_times_its_answers_and_an_outage_on_top() -> None:
    writer = make_writer(answers=10_000, concurrency=10, outage_seconds=600)
    assert limits(writer).ask == timedelta(seconds=3 * 10_000 + 600)
    assert limits(make_writer(answers=10_000, concurrency=10, requests_per_minute=20, outage_seconds=600)).ask == timedelta(seconds=90_600)


def test_a_recipe_that_stops_in_time_has_three_times_that_and_an_hour_at_least() -> None:
    writer = make_writer()
    demo = writer.model_copy(update={"training": writer.training.model_copy(update={"recipe": "smollm2-135m-demo"})})
    assert load_recipe("smollm2-135m-demo").max_seconds
    assert limits(demo).train == SHORT
    assert limits(make_writer(answers=10_000)).train == timedelta(seconds=round(3 * 2_200_000 / 1_500))


def test_what_the_file_names_comes_first_and_may_be_less_than_an_hour() -> None:
    named = limits(limits=Limits(collect=0.5, ask=48, train=30, examine=2, judge=1), judge=Judge())
    hours = (named.collect, named.ask, named.train, named.examine, named.judge)
    assert hours == tuple(timedelta(hours=number) for number in (0.5, 48, 30, 2, 1))


def test_a_site_that_is_read_slowly_may_take_as_long_as_ten_thousand_answers_do() -> None:
    site = Source(kind="zhihu", account="x", pace_seconds=4.5)
    assert limits().collect == SHORT
    assert limits(source=site).collect == timedelta(seconds=3 * 500 * (4.5 * 1.2 + 1))


@pytest.mark.parametrize(("change", "more"), [({"batch": True}, timedelta(hours=26)), ({}, timedelta(0))])
def test_a_batch_is_waited_for_before_a_night_is_late(change: dict[str, Any], more: timedelta) -> None:
    found = limits(make_writer(**change))
    assert found.of_run("distill") == found.ask + SHORT + more
    assert longest(found.of_run("distill")) == 2 * found.of_run("distill") + timedelta(days=1)
