"""Who follows a container, and when nobody does."""

import threading

import pytest

from guard.leases import Leases
from guard.parsing import Followed


class Clock:
    """Seconds, as the test sets them."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(clock: Clock) -> Leases:
    return Leases(lease=30, claim=10, clock=clock)


def test_a_lease_runs_out_without_a_look(leases: Leases, clock: Clock) -> None:
    assert leases.expired(["followed", "orphan"]) == []
    clock.now = 29
    leases.renew("followed", "worker-1")
    clock.now = 31
    assert leases.expired(["followed", "orphan"]) == ["orphan"]


def test_while_a_worker_looks_no_other_may_stop_or_keep_its_container(
    leases: Leases,
    clock: Clock,
) -> None:
    leases.renew("train", "worker-1")
    leases.check("train", "worker-1")
    with pytest.raises(Followed, match="Container train is followed by worker-1"):
        leases.check("train", "worker-2")
    clock.now = 9
    leases.renew("train", "worker-2")
    clock.now = 31
    assert leases.expired(["train"]) == ["train"]


def test_the_container_of_a_worker_that_is_gone_is_taken_over(leases: Leases, clock: Clock) -> None:
    leases.renew("train", "worker-1")
    clock.now = 11
    leases.check("train", "worker-2")
    leases.renew("train", "worker-2")
    with pytest.raises(Followed):
        leases.check("train", "worker-1")


def test_a_container_that_was_made_is_its_makers_before_it_runs(
    leases: Leases,
    clock: Clock,
) -> None:
    leases.renew("made", "worker-1")
    leases.expired([])
    with pytest.raises(Followed):
        leases.check("made", "worker-2")
    clock.now = 31
    leases.expired([])
    assert leases._looks == {}


def test_many_threads_may_look_while_leases_run_out(leases: Leases) -> None:
    failures: list[RuntimeError] = []
    ids = [str(number) for number in range(3000)]

    def look(first: int) -> None:
        try:
            for number in range(first, first + 3000):
                leases.renew(str(number), "worker-1")
                if number % 50 == 0:
                    leases.expired(ids)
        except RuntimeError as error:
            failures.append(error)

    threads = [threading.Thread(target=look, args=(first * 3000,)) for first in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
