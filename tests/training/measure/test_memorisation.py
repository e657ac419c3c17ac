"""How much is copied word for word."""

import pytest

from training.bootstrap import estimate
from training.measure.memorisation import longest_copies, memorisation

TRAINED = "The lamp was lit at dusk, and the keeper wrote down the wind, as he did every night of that long year."


def verbatim_share(texts: list[str], training_texts: list[str]) -> float:
    return estimate(memorisation(texts, training_texts)["verbatim_share"]).value


def test_a_copy_is_wholly_copied_and_another_text_not_at_all() -> None:
    assert verbatim_share([TRAINED], [TRAINED]) == 1.0
    assert verbatim_share([TRAINED.swapcase()], [TRAINED]) == 0.0


def test_half_a_copy_counts_its_windows() -> None:
    answer = TRAINED[:60] + "x" * 60  # 71 windows of 50 characters, 11 of them wholly in the copied 60
    assert verbatim_share([answer], [TRAINED]) == pytest.approx(11 / 71)


def test_49_characters_in_a_row_are_not_a_copy() -> None:
    assert verbatim_share([TRAINED[:49] + "#" + TRAINED[50:99]], [TRAINED]) == 0.0


def test_line_breaks_hide_no_copy() -> None:
    assert verbatim_share([TRAINED.replace(" ", "\n")], [TRAINED]) == 1.0


def test_a_window_across_two_training_texts_is_no_copy() -> None:
    assert verbatim_share([TRAINED], [TRAINED[:51], TRAINED[51:]]) < 0.1


def test_short_texts_have_no_windows() -> None:
    assert verbatim_share(["short"], [TRAINED]) == 0.0
    assert verbatim_share([TRAINED], []) == 0.0


def test_chinese_and_lone_surrogates_are_read() -> None:
    chinese = "灯塔看守人每天晚上都会记下风向和潮水," * 4
    assert verbatim_share([chinese], [chinese]) == 1.0
    assert verbatim_share(["\ud800" * 60], [TRAINED]) == 0.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TRAINED, len(TRAINED)),
        ("zzz" + TRAINED[10:33] + "zzz", 23),
        ("the the the", len(" the ")),
        ("§", 0),
        ("", 0),
        ("守" + TRAINED[-7:], 7),
    ],
)
def test_longest_copy(text: str, expected: int) -> None:
    assert longest_copies([text], ["something else", TRAINED]) == [expected]
    assert longest_copies(["§", text, TRAINED], ["something else", TRAINED]) == [0, expected, len(TRAINED)]
