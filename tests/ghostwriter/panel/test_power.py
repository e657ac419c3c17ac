"""Pairs for a power of 80 %, by exact binomial tests."""

import pytest

from ghostwriter.panel.power import pairs_needed


@pytest.mark.parametrize(("share", "pairs"), [(0.6, 199), (0.65, 90), (0.7, 49), (0.75, 30), (0.8, 20), (1.0, 6), (0.35, 90), (0.0, 6)])
def test_pairs_for_80_percent_power(share: float, pairs: int) -> None:
    assert pairs_needed(share) == pairs


@pytest.mark.parametrize("share", [0.5, 0.51])
def test_no_number_shows_what_is_hardly_there(share: float) -> None:
    assert pairs_needed(share) is None
