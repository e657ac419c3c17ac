"""Repetition, variety and length, with figures worked out by hand."""

import pytest

from training.degeneration import degeneration, distinct_share, repeated_share, units


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


def test_distinct_share_looks_at_all_texts_together() -> None:
    assert distinct_share(["a b c", "a b"]) == pytest.approx(2 / 3)
    assert distinct_share(["", "a"]) == 0.0


def test_all_of_it_for_two_answers() -> None:
    assert degeneration(["a b c d a b c d", " "]) == pytest.approx(
        {"rep4": 0.1, "distinct2": 4 / 7, "length_words": 4.0, "empty_share": 0.5}
    )
