"""Pauses, rests and waits, with the clock taken out."""

import random
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise

import pytest

from ghostwriter.collecting.sources.errors import AddressRefused, EmptyBody, NetworkError, RateLimited, RiskBlocked
from ghostwriter.collecting.sources.transport import Pacer, Reply, retry_after
from ghostwriter.collecting.sources.zhihu import checked_site


def pauses(pace: float, pages: int) -> list[float]:
    slept: list[float] = []
    pacer = Pacer(pace, slept.append, random.Random(0))
    for _ in range(pages):
        pacer.before_page()
    return slept


def test_pages_are_3_to_6_seconds_apart_with_a_rest_every_20_to_30() -> None:
    slept = pauses(4.5, 193)
    rests = [index for index, seconds in enumerate(slept) if seconds > 6]
    assert len(slept) == 192
    assert all(3 <= seconds <= 6 for seconds in slept if seconds <= 6)
    assert all(15 <= slept[index] <= 30 for index in rests)
    assert all(20 <= later - earlier <= 31 for earlier, later in pairwise(rests))
    assert 12 * 60 < sum(slept) < 20 * 60


def test_pace_0_never_pauses() -> None:
    assert pauses(0, 100) == []


def waits(pacer_pace: float, failure: object) -> list[float]:
    slept: list[float] = []
    pacer, tries = Pacer(pacer_pace, slept.append), 1
    while pacer.before_retry(failure, tries):  # type: ignore[arg-type]
        tries += 1
    return slept


def test_back_off_grows_and_ends() -> None:
    assert waits(4.5, NetworkError("x")) == [5, 15, 45]
    assert waits(4.5, RateLimited("x")) == [60, 120, 240]
    assert waits(4.5, EmptyBody("x")) == [30]
    assert waits(4.5, RiskBlocked("x")) == []


def test_pace_0_waits_only_for_retry_after() -> None:
    assert waits(0, NetworkError("x")) == [0, 0, 0]
    assert waits(0, RateLimited("x", retry_after=7)) == [7, 7, 7]
    assert waits(0, RateLimited("x", retry_after=7_200)) == []


@pytest.mark.parametrize(("value", "seconds"), [("7", 7), ("0", 0), ("-3", 0), ("1.5", 1.5), ("soon", None), ("", None)])
def test_retry_after_in_seconds(value: str, seconds: float | None) -> None:
    assert retry_after(Reply(429, {"retry-after": value}, b"")) == seconds


def test_retry_after_as_a_date() -> None:
    def header(moment: datetime) -> Reply:
        return Reply(429, {"retry-after": format_datetime(moment, usegmt=True)}, b"")

    wait = retry_after(header(datetime.now(UTC) + timedelta(seconds=60)))
    assert wait is not None
    assert 55 <= wait <= 60
    assert retry_after(header(datetime.now(UTC) - timedelta(hours=1))) == 0


@pytest.mark.parametrize(
    "site", ["https://www.zhihu.com", "http://127.0.0.1:8900", "http://localhost:1/x", "http://demo-site:8900", "http://10.0.0.7"]
)
def test_sites_a_cookie_may_go_to(site: str) -> None:
    assert checked_site(site) == site.removesuffix("/x")


@pytest.mark.parametrize(
    "site",
    [
        "http://www.zhihu.com",
        "http://8.8.8.8",
        "ftp://127.0.0.1",
        "",
        "http://",
        "http://169.254.169.254",
        "https://169.254.169.254",
        "http://2852039166",
    ],
)
def test_sites_it_may_not_go_to(site: str) -> None:
    with pytest.raises(AddressRefused):
        checked_site(site)
