"""The hourly sweep goes on looking: what is left meanwhile is removed, and a cluster that is away for a look is asked again."""

import threading
from datetime import timedelta
from itertools import count

import pytest

from ghostwriter.errors import LaunchInterrupted
from ghostwriter.launchers.kubernetes.leftovers import keep_removing
from tests.ghostwriter.launchers.kubernetes.bench import Bench, make_bench
from tests.kubernetes.attempts import begin, context

__all__ = ["make_bench"]  # a fixture

HOUR, MINUTE = timedelta(seconds=1), 0.1


def test_what_is_left_after_the_first_look_is_removed_too(bench: Bench) -> None:
    begin(bench.make, context(run="over"))
    name, looks = bench.pod["metadata"]["name"], count()
    assert keep_removing(lambda _labels: next(looks) < 3, HOUR, MINUTE) == [name]
    assert bench.cluster.pods == {}


def test_a_cluster_that_was_away_is_asked_again(bench: Bench) -> None:
    begin(bench.make, context(run="over"))
    name, bench.server.away = bench.pod["metadata"]["name"], True
    back = threading.Timer(0.4, lambda: setattr(bench.server, "away", False))
    back.start()
    assert keep_removing(lambda _labels: False, 3 * HOUR, MINUTE) == [name]
    back.join()


def test_a_cluster_that_is_away_in_the_end_is_told(bench: Bench) -> None:
    bench.server.away = True
    with pytest.raises(LaunchInterrupted, match="No Kubernetes API server answers"):
        keep_removing(lambda _labels: False, timedelta(0), MINUTE)
