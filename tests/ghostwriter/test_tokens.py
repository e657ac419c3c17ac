"""Words and token counts of both languages."""

from ghostwriter.tokens import cjk_share, estimate_tokens, ngrams, words


def test_chinese_characters_are_words_of_their_own_and_marks_are_none() -> None:
    assert words("收摊了。Don't stop — 3 times!") == ["收", "摊", "了", "don't", "stop", "3", "times"]


def test_ngrams_are_runs_in_order() -> None:
    assert ngrams(["a", "b", "c"], 2) == [("a", "b"), ("b", "c")]
    assert ngrams(["a"], 2) == []


def test_the_share_of_chinese_counts_words() -> None:
    assert cjk_share(words("用 Python 写")) == 2 / 3
    assert cjk_share([]) == 0.0


def test_tokens_are_estimated_by_script() -> None:
    assert estimate_tokens("x" * 42) == 10
    assert round(estimate_tokens("收摊了。" * 10), 6) == 31
