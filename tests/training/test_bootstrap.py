"""Intervals of figures whose spread is known."""

import numpy as np
import pytest

from training.bootstrap import difference, estimate, mean, ratio


def test_a_mean_and_its_interval_agree_with_the_normal_one() -> None:
    values = np.random.default_rng(1).normal(5.0, 2.0, 400)
    found = estimate(mean(values))
    error = 1.96 * values.std() / 20  # 0.19
    assert found.value == pytest.approx(values.mean())
    assert (found.low, found.high) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.03)
    assert found.questions == 400


def test_the_interval_covers_the_truth_in_about_95_of_100_samples() -> None:
    draw = np.random.default_rng(2)
    covered = sum((one := estimate(mean(draw.normal(0, 1, 50)))).low <= 0 <= one.high for _ in range(200))
    assert 180 <= covered <= 198


def test_a_difference_is_paired_so_that_what_questions_share_does_not_widen_it() -> None:
    hard = np.linspace(0, 100, 30)  # questions differ by far more than the arms do
    found = difference(mean(hard + 1), mean(hard))
    assert (found.value, found.low, found.high) == pytest.approx((1.0, 1.0, 1.0))


def test_a_ratio_is_of_sums_and_nought_where_nothing_was_counted() -> None:
    assert estimate(ratio([1, 0, 3], [2, 0, 6])).value == pytest.approx(0.5)
    nothing = estimate(ratio([0, 0], [0, 0]))
    assert (nothing.value, nothing.low, nothing.high) == (0.0, 0.0, 0.0)


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    values = np.random.default_rng(3).normal(size=30)
    assert estimate(mean(values), seed=1) == estimate(mean(values), seed=1) != estimate(mean(values), seed=2)


def test_no_questions_and_unequal_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="no questions"):
        estimate(mean([]))
    with pytest.raises(ValueError, match="2 questions cannot be paired with 1"):
        difference(mean([1, 2]), mean([1]))
