"""How many pairs a preference needs to be seen: exact binomial tests, without readers' or questions' likeness to themselves."""

from functools import lru_cache

import numpy as np
from scipy.stats import binom  # type: ignore[import-untyped]

LEVEL, POWER = 0.05, 0.8
MOST_PAIRS = 5_000
"""Nobody reads more."""


@lru_cache(maxsize=256)
def pairs_needed(share: float) -> int | None:
    """Pairs from which a two-sided test at 5 % finds a true share (of one side) with a power of 80 %; None beyond 5,000."""
    far = max(share, 1 - share)
    if far >= 1:
        far = 1 - 1e-9
    numbers = np.arange(1, MOST_PAIRS + 1)
    critical = binom.isf(LEVEL / 2, numbers, 0.5) + 1
    enough = binom.sf(critical - 1, numbers, far) >= POWER
    return int(numbers[enough][0]) if enough.any() else None
