"""The measures in words."""

from ghostwriter.judging.measure_names import MEASURE_NAMES
from training.measure.measures import HIGHER_IS_BETTER


def test_every_measure_has_words() -> None:
    assert set(MEASURE_NAMES) >= set(HIGHER_IS_BETTER)
