"""Repetition, loops, variety and length, with figures worked out by hand."""

import pytest

from training.bootstrap import estimate
from training.measure.degeneration import degeneration, distinct, longest_loop, repeated_share, units


def test_words_are_lower_case_and_keep_their_apostrophes_and_hyphens() -> None:
    assert units("It's the Keeper's well-kept lamp, No. 3!") == ["it's", "the", "keeper's", "well-kept", "lamp", "no", "3"]


def test_each_chinese_character_is_a_unit_and_punctuation_is_none() -> None:
    assert units("我爱GPU,真的。") == ["我", "爱", "gpu", "真", "的"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one two three four five", 0.0),
        ("a b c d a b c d", 0.2),  # abcd bcda cdab dabc abcd: one of five was there before
        ("no no no no no no no no", 0.8),  # five times the same
        ("三个字", 0.0),
        ("", 0.0),
    ],
)
def test_repeated_share(text: str, expected: float) -> None:
    assert repeated_share(text) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a b a b a b", 4),
        ("x no no no no y", 3),
        ("one two three one four", 0),  # a word that comes again is no loop
        ("well, a b c d a b c e", 0),  # three of the pattern's four words
        ("我们我们我们", 4),
        ("", 0),
    ],
)
def test_longest_loop_counts_the_words_that_only_repeat(text: str, expected: int) -> None:
    assert longest_loop(text) == expected


def test_distinct_looks_at_all_texts_together() -> None:
    assert estimate(distinct(["a b c", "a b"])).value == pytest.approx(2 / 3)
    assert estimate(distinct(["same old answer"] * 10)).value == pytest.approx(0.1)
    assert estimate(distinct(["", "a"])).value == 0.0


def test_all_of_it_for_two_answers() -> None:
    found = degeneration(["a b c d a b c d", " "], [False, True], ["a b c d", "a b c d"])
    assert {name: estimate(one).value for name, one in found.items()} == pytest.approx(
        {
            "rep4": 0.1,
            "distinct2": 4 / 7,
            "longest_loop": 2.0,
            "unfinished_share": 0.5,
            "empty_share": 0.5,
            "length_ratio": 1.0,
            "odd_length_share": 1.0,
        }
    )


def test_the_writers_own_lengths_are_odd_in_about_a_tenth() -> None:
    texts = ["word " * (20 + index) for index in range(100)]
    assert estimate(degeneration(texts, [True] * 100, texts)["odd_length_share"]).value == pytest.approx(0.1)
