"""Which rows each step sees."""

from collections import Counter

from tests.training.conftest import recipe
from training.data import Row
from training.order import count_steps, micro_batches, rows_of_step, share_of_process

ROWS = [Row(f"a:{number}", [0] * (number + 1), 0) for number in range(10)]
SETTINGS = recipe(batch=4, micro_batch=2, epochs=2)


def sources(step: int) -> list[str]:
    return [row.source for row in rows_of_step(ROWS, SETTINGS, step)]


def test_each_epoch_shows_each_row_once_in_another_order() -> None:
    first, second = [source for step in range(3) for source in sources(step)], [source for step in range(3, 6) for source in sources(step)]
    assert Counter(first) == Counter(second) == Counter(row.source for row in ROWS)
    assert first != second


def test_the_order_depends_on_seed_and_step_alone() -> None:
    assert sources(4) == sources(4)
    assert [row.source for row in rows_of_step(ROWS, recipe(batch=4, seed=1), 0)] != sources(0)


def test_the_last_step_of_an_epoch_has_what_is_left() -> None:
    assert [len(sources(step)) for step in range(6)] == [4, 4, 2, 4, 4, 2]
    assert count_steps(10, SETTINGS) == 6
    assert count_steps(10, recipe(batch=4, epochs=2, max_steps=5)) == 5


def test_processes_share_a_step_without_loss() -> None:
    shares = [share_of_process(ROWS, rank, 3) for rank in range(3)]
    assert sorted(row.source for share in shares for row in share) == sorted(row.source for row in ROWS)
    assert [len(row.ids) for row in shares[0]] == [10, 7, 4, 1]


def test_micro_batches_keep_every_row() -> None:
    assert [[row.source for row in micro] for micro in micro_batches(ROWS[:5], 2)] == [["a:0", "a:1"], ["a:2", "a:3"], ["a:4"]]
