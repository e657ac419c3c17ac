"""How much is copied word for word."""

import random
import time

import pytest

from training.bootstrap import estimate
from training.measure.memorisation import longest_matches, memorisation

TRAINED = "The lamp was lit at dusk, and the keeper wrote down the wind, as he did every night of that long year."
ALPHABETS = ("ab", "ab ", "灯塔看 守人", "aé守\U0001f56f\ud800 ")


def verbatim_share(texts: list[str], training_texts: list[str]) -> float:
    return estimate(memorisation({"arm": texts}, training_texts)["arm"]["verbatim_share"]).value


def longest_copies(texts: list[str], training_texts: list[str]) -> list[int]:
    return [max(found, default=0) for found in longest_matches(texts, training_texts)]


def plain_search(text: str, training_texts: list[str]) -> list[int]:
    """The longest match at each character, by looking for every string there is."""
    text, trained = " ".join(text.split()), [" ".join(other.split()) for other in training_texts]
    ends = range(len(text) + 1)
    return [max(end - start for end in ends[start:] if any(text[start:end] in other for other in trained)) for start in range(len(text))]


@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_it_finds_what_a_plain_search_finds(alphabet: str) -> None:
    draw = random.Random(0)
    for _ in range(40):
        written = ["".join(draw.choices(alphabet, k=draw.randrange(0, 25))) for _ in range(draw.randrange(2, 9))]
        cut = draw.randrange(1, len(written))
        expected = [plain_search(text, written[:cut]) for text in written[cut:]]
        assert [list(found) for found in longest_matches(written[cut:], written[:cut])] == expected


def test_it_does_so_with_more_letters_than_a_byte_has() -> None:
    letters = [chr(point) for point in range(0x4E00, 0x4E00 + 300)]
    random.Random(0).shuffle(letters)
    trained, asked = "".join(letters), "".join([*letters[7:19], *letters[100:140], *letters[5:30]])
    assert [list(found) for found in longest_matches([asked], [trained])] == [plain_search(asked, [trained])]


def test_arms_are_measured_together_as_each_alone() -> None:
    arms = {"one": [TRAINED, "x" * 70], "two": [TRAINED[:60] + "#" * 60, ""]}
    together = memorisation(arms, [TRAINED])
    alone = {arm: memorisation({arm: texts}, [TRAINED])[arm] for arm, texts in arms.items()}
    for arm, figures in together.items():
        assert {name: estimate(one) for name, one in figures.items()} == {name: estimate(one) for name, one in alone[arm].items()}


def test_the_time_grows_as_the_text_does() -> None:
    """A tenth of the full size, 1,300 texts of 1,000 characters and seven arms of 20 answers."""
    draw = random.Random(0)
    letters = "灯塔看守人每天晚上都会记下风向和潮水"
    words = ["".join(draw.choices(letters, k=draw.randrange(1, 4))) for _ in range(3000)]
    texts = ["".join(draw.choices(words, k=500)) for _ in range(1440)]
    began = time.process_time()
    found = memorisation({str(arm): texts[arm * 20 : arm * 20 + 20] for arm in range(7)}, texts[140:])
    assert time.process_time() - began < 10
    assert estimate(found["0"]["verbatim_share"]).value == 0.0


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
