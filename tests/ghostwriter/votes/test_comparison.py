"""Nobody can tell which side is whose, and nobody but the server makes a comparison."""

import random

import pytest

from ghostwriter.votes.comparison import draw_sides, storable
from ghostwriter.votes.sealed import ComparisonUnknown, Seal
from tests.vote_case import comparison

VOTES, TOLERANCE = 400, 20


def test_a_voter_who_always_says_a_prefers_a_model_over_itself_half_the_time() -> None:
    chance = random.Random(1)
    first = sum(draw_sides(("one", "other"), chance)[0] == "one" for _ in range(VOTES))
    assert abs(first - VOTES / 2) <= TOLERANCE


def test_without_a_given_chance_the_order_changes() -> None:
    assert {draw_sides(("one", "other")) for _ in range(64)} == {("one", "other"), ("other", "one")}


def test_a_sealed_comparison_is_opened_by_the_same_secret_alone() -> None:
    made = comparison()
    text = Seal("secret").close(made)
    assert Seal("secret").open(text, "tester", "ann") == made
    with pytest.raises(ComparisonUnknown, match="Nothing was kept"):
        Seal("another").open(text, "tester", "ann")


def test_a_sealed_comparison_shows_neither_texts_nor_versions_and_is_as_long_in_either_order() -> None:
    made = comparison()
    swapped = made.model_copy(update={"a": made.b, "b": made.a})
    texts = [Seal("secret").close(each) for each in (made, swapped)]
    assert len(texts[0]) == len(texts[1])
    assert not [word for word in ("champion", "previous") if word in texts[0]]


@pytest.mark.parametrize("text", ["", "é", "gAAAA", "x" * 5_000])
def test_what_is_no_sealed_comparison_is_refused(text: str) -> None:
    with pytest.raises(ComparisonUnknown):
        Seal("secret").open(text, "tester", "ann")


@pytest.mark.parametrize(("writer", "who"), [("other", "ann"), ("tester", "bob")])
def test_a_comparison_is_voted_on_by_whom_it_was_shown_to(writer: str, who: str) -> None:
    with pytest.raises(ComparisonUnknown, match="shown to someone else"):
        Seal("secret").open(Seal("secret").close(comparison()), writer, who)


def test_what_no_database_keeps_is_taken_out_of_texts() -> None:
    assert storable("a\x00b\ud800c") == "ab?c"
    assert comparison(a="\x00x").a.text == "x"
