"""The throttle grows while answers come, halves when refused, and keeps the limits of the contract."""

import asyncio

from ghostwriter.teacher.throttle import Bucket, Throttle


class Clock:
    """A clock that is set by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_limit_doubles_with_each_round_until_the_first_refusal() -> None:
    throttle = Throttle(64, clock=Clock())
    limits = [throttle.limit]
    for _ in range(4):
        for _ in range(int(throttle.limit)):
            throttle.answered(0, 0)
        limits.append(throttle.limit)
    assert limits == [16, 32, 64, 64, 64]


def test_a_refusal_halves_the_limit_once_for_all_calls_in_flight() -> None:
    clock = Clock()
    throttle = Throttle(64, clock=clock)
    throttle.limit = 40.0
    for _ in range(10):
        throttle.refused(started=99.0, retry_after=None)
    assert throttle.limit == 20
    clock.now = 101.0
    throttle.refused(started=100.5, retry_after=None)
    assert throttle.limit == 10


def test_after_a_refusal_the_limit_grows_by_one_a_round() -> None:
    throttle = Throttle(64, clock=Clock())
    throttle.refused(started=100.0, retry_after=None)
    assert throttle.limit == 8
    for _ in range(8):
        throttle.answered(0, 0)
    assert 8.8 < throttle.limit <= 9


def test_a_refusal_sets_the_pace_a_little_below_the_rate_of_answers() -> None:
    clock = Clock()
    throttle = Throttle(64, clock=clock)
    for _ in range(40):
        clock.now += 0.1
        throttle.answered(0, 0)
    throttle.refused(started=clock.now, retry_after=None)
    assert throttle.pace is not None
    assert 9.4 < throttle.pace < 10.0


def test_the_limit_never_falls_below_one_nor_grows_above_the_most() -> None:
    clock = Clock()
    throttle = Throttle(2, clock=clock)
    for _ in range(5):
        clock.now += 1
        throttle.refused(started=clock.now, retry_after=None)
    assert throttle.limit == 1
    for _ in range(50):
        throttle.answered(0, 0)
    assert throttle.limit == 2


def test_retry_after_keeps_every_start_back() -> None:
    async def started_after() -> float:
        throttle = Throttle(8)
        loop = asyncio.get_running_loop()
        before = loop.time()
        throttle.refused(started=0.0, retry_after=0.3)
        await asyncio.gather(*(throttle.enter(1) for _ in range(3)))
        return loop.time() - before

    assert asyncio.run(started_after()) >= 0.3


def test_no_more_calls_than_the_limit_are_in_flight() -> None:
    async def most() -> int:
        throttle, seen = Throttle(3), []

        async def call() -> None:
            await throttle.enter(1)
            seen.append(throttle.in_flight)
            await asyncio.sleep(0.001)
            await throttle.leave()

        await asyncio.gather(*(call() for _ in range(20)))
        return max(seen)

    assert asyncio.run(most()) == 3


def test_a_bucket_lets_so_many_a_minute_through() -> None:
    clock = Clock()
    bucket = Bucket(per_minute=120, clock=clock)
    waits = [bucket.take(1) for _ in range(5)]
    assert waits == [0.0, 0.5, 1.0, 1.5, 2.0]
    clock.now += 60
    assert bucket.take(1) == 0.0


def test_tokens_used_beyond_what_was_expected_are_paid_back_by_waiting() -> None:
    clock = Clock()
    bucket = Bucket(per_minute=6_000, clock=clock)
    clock.now += 1
    assert bucket.take(100) == 0.0
    bucket.give_back(100 - 150)
    assert bucket.take(50) == 1.0


def test_a_cancelled_wait_gives_its_place_back() -> None:
    async def in_flight() -> int:
        throttle = Throttle(1)
        throttle.refused(started=0.0, retry_after=60)
        waiting = asyncio.create_task(throttle.enter(1))
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return throttle.in_flight

    assert asyncio.run(in_flight()) == 0
