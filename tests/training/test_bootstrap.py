"""Intervals of figures whose spread is known."""

from collections.abc import Callable

import numpy as np
import pytest

from training.bootstrap import Measured, Numbers, difference, estimate, estimate_share, mean, ratio, student_t


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


def normal(draw: np.random.Generator, questions: int) -> tuple[Measured, float]:
    return mean(draw.normal(0, 1, questions)), 0.0


def losses(draw: np.random.Generator, questions: int) -> tuple[Measured, float]:
    """The fall of a loss, of answers whose lengths differ tenfold."""
    tokens: Numbers = draw.lognormal(5, 0.8, questions)
    return ratio(tokens * draw.normal(0.3, 0.2, questions), tokens), 0.3


def styles(draw: np.random.Generator, questions: int) -> tuple[Measured, float]:
    """The gain of a figure between 0 and 1."""
    return mean(draw.beta(8, 2, questions) - draw.beta(6, 3, questions)), 0.8 - 6 / 9


@pytest.mark.parametrize("questions", [5, 10])
@pytest.mark.parametrize("figure", [normal, losses, styles])
def test_few_questions_are_covered_too(figure: Callable[[np.random.Generator, int], tuple[Measured, float]], questions: int) -> None:
    """Plain percentiles cover 85 % of 5 and 90 % of 10 (training/LOG.md)."""
    draw, covered = np.random.default_rng(7), 0
    for _ in range(300):
        measured, truth = figure(draw, questions)
        found = estimate(measured)
        covered += found.low <= truth <= found.high
    assert 0.92 * 300 <= covered <= 0.99 * 300


def test_ten_questions_of_a_very_skewed_figure_are_covered_some_nine_times_in_ten() -> None:
    draw, covered = np.random.default_rng(5), 0
    for _ in range(1000):
        found = estimate(mean(draw.exponential(1, 10)))
        covered += found.low <= 1 <= found.high
    assert covered >= 880  # 850 by plain percentiles


def test_a_share_of_ten_questions_is_covered_and_has_a_width_when_all_are_alike() -> None:
    draw = np.random.default_rng(4)
    covered = sum((one := estimate_share((draw.random(10) < 0.8).astype(float).tolist())).low <= 0.8 <= one.high for _ in range(300))
    assert covered >= 0.92 * 300
    all_of_five, none_of_ten = estimate_share([1.0] * 5), estimate_share([0.0] * 10)
    assert (all_of_five.low, all_of_five.high) == pytest.approx((0.478, 1.0), abs=1e-3)  # Clopper and Pearson
    assert (none_of_ten.low, none_of_ten.high) == pytest.approx((0.0, 0.308), abs=1e-3)


@pytest.mark.parametrize(("degrees", "quantile"), [(3, 3.182), (4, 2.776), (9, 2.262), (23, 2.069), (199, 1.972)])
def test_students_quantiles_are_those_of_the_tables(degrees: int, quantile: float) -> None:
    assert student_t(degrees) == pytest.approx(quantile, rel=2e-3)


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
