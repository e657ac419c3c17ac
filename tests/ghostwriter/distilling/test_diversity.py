"""Diversity figures on texts small enough to count by hand."""

from ghostwriter.distilling.diversity import compare, measure


def test_distinct_counts_ngrams_within_answers() -> None:
    figures = measure(["a b a b", "a b c d"], length=100)
    assert figures["words"] == 8
    assert figures["distinct_1"] == 0.5
    assert figures["distinct_2"] == round(4 / 6, 4)
    assert figures["distinct_3"] == 1.0


def test_self_repetition_is_the_share_of_4grams_in_other_answers() -> None:
    assert measure(["a b c d e", "x a b c d", "q r s t"], 100)["self_repetition"] == round((0.5 + 0.5 + 0) / 3, 4)


def test_a_set_that_repeats_itself_compresses_better() -> None:
    varied = [" ".join(f"w{number * 7919 % 1009}x{place}" for place in range(20)) for number in range(20)]
    assert measure([varied[0]] * 20, 400)["compression_ratio"] > 5 * measure(varied, 400)["compression_ratio"]


def test_both_sets_are_cut_to_the_length_of_the_smaller() -> None:
    report = compare(["one two three four"], ["a b c d e f", "g h"])
    assert report["writer"]["words"] == report["teacher"]["words"] == 4


def test_without_answers_there_is_no_report() -> None:
    assert compare(["one two"], []) == {}
