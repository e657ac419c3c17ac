"""Each filter catches its own fault in both languages and lets the writer's own answers pass."""

import pytest

from ghostwriter.distilling.filters import REASONS, Candidate, Judge, Lengths, clean_answer
from tests.distill_case import demo_pairs

ENGLISH, CHINESE = demo_pairs("lamplight"), demo_pairs("laocheng")
JUDGES = {
    "en": Judge("en", Lengths.of([row["text"] for row in ENGLISH])),
    "zh": Judge("zh", Lengths.of([row["text"] for row in CHINESE])),
}
GOOD = {"en": ENGLISH[0]["text"], "zh": CHINESE[0]["text"]}
LOOP = {"en": "The lamp must be lit before the tide. " * 20, "zh": "先把菜摘了，再把米淘了，然后歇会儿。" * 16}


def reason(text: str, language: str = "en", finish_reason: str = "stop", shown: tuple[str, ...] = ()) -> str | None:
    return JUDGES[language].reason(Candidate(text, finish_reason, "Why?", shown))


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_writers_own_answers_pass(language: str) -> None:
    rows = ENGLISH if language == "en" else CHINESE
    shown = [tuple(rows[place - step]["text"] for step in (1, 2, 3)) for place in range(len(rows))]
    judged = {row["id"]: reason(row["text"], language, shown=others) for row, others in zip(rows, shown, strict=True)}
    assert {name: found for name, found in judged.items() if found} == {}


@pytest.mark.parametrize(
    ("expected", "language", "text"),
    [
        ("empty", "en", " \n"),
        ("empty", "zh", "……"),
        ("refusal", "en", "As an AI language model, I have no lamp of my own. " + GOOD["en"]),
        ("refusal", "en", GOOD["en"] + " I'm sorry, but I can say no more."),
        ("refusal", "en", "I can't help with that. " + GOOD["en"]),
        ("refusal", "zh", "作为一个人工智能，我没有菜摊。" + GOOD["zh"]),
        ("refusal", "zh", "抱歉，我无法回答这个问题。" + GOOD["zh"]),
        ("meta", "en", "Here's an answer for you: " + GOOD["en"]),
        ("meta", "en", GOOD["en"] + "\n\nQuestion: How do tides work?"),
        ("meta", "en", GOOD["en"] + " That was in the style of a lamp keeper."),
        ("meta", "en", GOOD["en"] + "\n\n(Note: this answer imitates the author's warm style.)"),
        ("meta", "en", "**Answer in Odessa's voice:**\n\n" + GOOD["en"]),
        ("meta", "zh", "好的，以下是模仿老程口吻的回答。" + GOOD["zh"]),
        ("meta", "zh", GOOD["zh"] + "\n问题：下一个呢？"),
        ("wrong_language", "en", GOOD["zh"]),
        (
            "wrong_language",
            "en",
            "Le phare doit rester allumé toute la nuit, même quand personne ne navigue, parce que la mer ne dort jamais. " * 2,
        ),
        ("wrong_language", "zh", GOOD["en"]),
        ("wrong_language", "zh", "灯台は夜の間ずっと点いていなければならない。" * 8),
        ("too_short", "en", "Yes, dear, it is."),
        ("too_short", "zh", "是的。"),
        ("too_long", "en", " ".join(row["text"] for row in ENGLISH[:6])),
        ("too_long", "zh", "".join(row["text"] for row in CHINESE[:6])),
        ("repetition", "en", LOOP["en"]),
        ("repetition", "zh", LOOP["zh"]),
    ],
)
def test_a_faulty_answer_is_rejected_with_its_reason(expected: str, language: str, text: str) -> None:
    assert reason(text, language) == expected


@pytest.mark.parametrize(("ended", "expected"), [("length", "cut_off"), ("content_filter", "cut_off"), ("stop", None), ("eos", None)])
def test_an_answer_that_did_not_end_by_itself_is_cut_off(ended: str, expected: str | None) -> None:
    assert reason(GOOD["en"], finish_reason=ended) == expected


@pytest.mark.parametrize("language", ["en", "zh"])
def test_an_answer_that_holds_a_third_of_an_example_is_a_copy(language: str) -> None:
    rows = ENGLISH if language == "en" else CHINESE
    example, own = rows[1]["text"], rows[2]["text"]
    third = example[: len(example) // 3]
    assert reason(third + own[: len(own) // 3], language, shown=(example,)) == "copy"
    assert reason(third + own[: len(own) // 3], language, shown=(rows[3]["text"],)) is None


def test_a_closing_formula_of_the_writer_is_no_copy() -> None:
    assert reason(GOOD["en"], shown=("Some other answer. Keeper's rule: Drill in fair weather.",)) is None


def test_thinking_and_a_repeated_label_are_taken_off() -> None:
    assert clean_answer("<think>The user wants\n...</think>\n\nLight it.") == "Light it."
    assert clean_answer("Odessa Lamplight's answer: Light it.") == "Light it."
    assert clean_answer("老程的回答：择菜。") == "择菜。"
    assert clean_answer("<think>never ends") == ""
    assert clean_answer("The answer is no: light it.") == "The answer is no: light it."


def test_every_reason_of_a_judge_is_a_known_one() -> None:
    assert [name for name, _ in JUDGES["en"]._filters()] == list(REASONS[:9])
