"""Which rows each step sees."""

from collections import Counter

import pytest
import torch

from tests.training.conftest import recipe
from training.rows.data import Row
from training.rows.order import count_steps, micro_batches, most_tokens, rows_of_step
from training.rows.packing import spread

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


def test_an_epoch_is_shuffled_once_however_many_of_its_steps_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each step the tokens of all that are to come are counted: of 10,000 rows that took a fifth of a second each time."""
    shuffle, shuffled = torch.randperm, list[int]()
    monkeypatch.setattr("torch.randperm", lambda rows, **how: shuffled.append(rows) or shuffle(rows, **how))
    many, settings = [Row("a", [0], 0)] * 10_000, recipe(batch=32, epochs=2, seed=2026)
    assert sum(len(rows_of_step(many, settings, step)) for step in range(count_steps(len(many), settings))) == 20_000
    assert shuffled == [10_000, 10_000]


def test_the_last_step_of_an_epoch_has_what_is_left() -> None:
    assert [len(sources(step)) for step in range(6)] == [4, 4, 2, 4, 4, 2]
    assert count_steps(10, SETTINGS) == 6
    assert count_steps(10, recipe(batch=4, epochs=2, max_steps=5)) == 5


def test_processes_share_a_step_without_loss_and_evenly() -> None:
    shares = spread(ROWS, 3)
    assert sorted(row.source for share in shares for row in share) == sorted(row.source for row in ROWS)
    assert [[len(row.ids) for row in share] for share in shares] == [[10, 5, 4], [9, 6, 3], [8, 7, 2, 1]]
    assert spread(ROWS[:1], 2) == [[ROWS[0]], []]


def test_the_largest_share_is_known_before() -> None:
    assert most_tokens(ROWS, recipe(batch=10, micro_batch=10, max_length=100), 3) == 19
    assert most_tokens(ROWS, recipe(batch=10, micro_batch=1, max_length=12), 3) == 12


def test_micro_batches_keep_every_row() -> None:
    assert [[row.source for row in micro] for micro in micro_batches(ROWS[:5], 2)] == [["a:0", "a:1"], ["a:2", "a:3"], ["a:4"]]
