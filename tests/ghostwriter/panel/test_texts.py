"""What readers must not go by is taken from both texts alike."""

import pytest

from ghostwriter.panel.texts import MOST, RATIO, cut, length, matched, plain

MARKDOWN = """# The lamp

- **Trim** the wick, `then` [wait](http://example.org).
> It _will_ hold.

| a | b |
|---|---|
```sh
oil
```
<b>Done</b> at 3*4 and snake_case_words."""


def test_formatting_is_stripped_and_words_stay() -> None:
    assert plain(MARKDOWN, "en") == "The lamp\nTrim the wick, then wait.\nIt will hold.\na b\noil\nDone at 3*4 and snake_case_words."


def test_english_quotation_marks_are_straight_and_chinese_ones_stay() -> None:
    assert plain("“It’s done.”", "en") == '"It\'s done."'
    assert plain("他说：“好。”", "zh") == "他说：“好。”"


def test_a_sentence_that_was_broken_off_is_left_out_where_most_remains() -> None:
    assert plain("One is here. Two is here. And thr", "en") == "One is here. Two is here."
    assert plain("一句话在这里。第二句", "zh") == "一句话在这里。"
    assert plain("Short. And then a very long piece without an end", "en").endswith("without an end")


@pytest.mark.parametrize(("text", "language", "words"), [("One two  three.", "en", 3), ("一二三。 四", "zh", 5)])
def test_length_is_in_words_or_characters(text: str, language: str, words: int) -> None:
    assert length(text, language) == words  # type: ignore[arg-type]


def test_a_text_is_cut_at_a_sentence() -> None:
    assert cut("One two. Three four five! Six?", 5, "en") == "One two. Three four five!"
    assert cut("One two three.", 2, "en") == ""
    assert cut("一二。三四五！六？", 7, "zh") == "一二。三四五！"


def test_lengths_are_matched_below_the_ratio() -> None:
    short, long = "w " * 9 + "end.", " ".join(["v " * 4 + "end."] * 6)
    pair = matched(short, long, "en")
    assert pair and [length(text, "en") for text in pair] == [10, 10]
    assert matched(long, short, "en") == pair[::-1]
    assert 14 < RATIO * 10 <= 15


def test_the_longest_texts_are_cut_to_a_minutes_reading() -> None:
    pair = matched(" ".join(["v " * 9 + "end."] * 50), " ".join(["w " * 9 + "end."] * 50), "en")
    assert pair and {length(text, "en") for text in pair} == {MOST["en"]}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Two words.", "A first sentence that is much too long for that, and cannot be cut."), ("", "Words."), ("The same.", "**The same.**")],
    ids=["no cut", "empty", "the same"],
)
def test_pairs_that_cannot_be_compared_are_refused(one: str, other: str) -> None:
    assert matched(one, other, "en") is None
