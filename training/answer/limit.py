"""How many tokens an answer may have: as many as the writer's own need, so that a student that learned their length can end.

A limit that the writer's own held-out answers do not fit into would measure the cut: such a student is unfinished every night.
"""

from collections.abc import Sequence

import numpy as np

from training.errors import DatasetError

LONGEST_SHARE = 0.99
"""Of the writer's answers, those that must fit."""
MOST_CUT = 0.05
"""Of the held-out answers, those that a limit named in the request may cut."""
STEP = 16
"""Limits are rounded up to a multiple of it, so that they, and with them the kept answers, seldom change from night to night."""


def answer_limit(named: int | None, writer: Sequence[int], heldout: Sequence[int], *, may_cut: bool) -> int:
    """Tokens an answer may have: the limit named, or what 99 % of the writer's answers fit into.

    `writer` and `heldout` are the lengths of all of the writer's answers and of the held-out ones among them, in tokens of the base.
    Raises DatasetError when the limit named cuts more than 5 % of the held-out ones and `may_cut` does not allow it.
    """
    needed = int(np.quantile(writer, LONGEST_SHARE, method="higher"))
    needed += -needed % STEP
    if named is None:
        return needed
    cut = sum(length > named for length in heldout) / len(heldout)
    if cut > MOST_CUT and not may_cut:
        raise DatasetError(
            f"max_new_tokens = {named} would cut {cut:.0%} of the writer's own held-out answers, and so a student that writes as long:"
            f" 99 % of the writer's answers need {needed} tokens. Leave max_new_tokens out of [evaluation], which gives just that; or set"
            " cut_answers = true there when answers may be cut, as in a demo that has no time."
        )
    return named
