"""The limit of an answer comes from the writer's own lengths."""

import pytest

from training.answer.limit import answer_limit
from training.errors import DatasetError

WRITER = [*range(100, 1100), 1800]


def test_it_holds_all_but_the_longest_hundredth() -> None:
    assert answer_limit(None, WRITER, WRITER[:20], may_cut=False) == 1104  # 1,090 at the 99th percentile, rounded up to 16s
    assert answer_limit(None, [7], [7], may_cut=False) == 16


def test_a_limit_that_cuts_more_than_a_twentieth_is_refused_in_words() -> None:
    words = r"max_new_tokens = 512 would cut 59% of the writer's own held-out answers.* 99 % of the writer's answers need 1104 tokens\."
    with pytest.raises(DatasetError, match=words):
        answer_limit(512, WRITER, WRITER, may_cut=False)
    assert answer_limit(512, WRITER, WRITER, may_cut=True) == 512
    assert answer_limit(1050, WRITER, WRITER, may_cut=False) == 1050
