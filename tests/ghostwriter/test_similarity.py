"""Near duplicates are found, and only they; real demo answers with seeded edits."""

import random

from ghostwriter.similarity import (
    ANSWER_THRESHOLD,
    answer_sketch,
    answers_index,
    jaccard,
    question_sketch,
    questions_index,
    repeated_answers,
)
from tests.distill_case import demo_pairs

ANSWERS = [(row["id"], row["text"]) for name in ("lamplight", "laocheng") for row in demo_pairs(name)]


def edited(text: str, share: float, chance: random.Random) -> str:
    """`text` with a share of its characters replaced, in one run."""
    length = round(len(text) * share)
    start = chance.randrange(max(1, len(text) - length))
    return text[:start] + "".join(chance.choice("甲乙丙丁abcdef") for _ in range(length)) + text[start + length :]


def test_a_question_with_a_word_more_is_a_near_duplicate() -> None:
    index = questions_index([("1", "How do vaccines actually work inside the body?")])
    assert index.find("How do vaccines work inside the body?") == "1"
    assert index.find("How do magnets work inside a speaker?") is None


def test_a_chinese_question_in_other_words_is_a_near_duplicate() -> None:
    index = questions_index([("1", "拖延症严重，任务总拖到最后一晚怎么办？")])
    assert index.find("拖延症严重，任务老是拖到最后一晚，怎么办？") == "1"
    assert index.find("炒青菜为什么总是发黄？") is None


def test_an_answer_with_a_changed_sentence_is_a_near_duplicate() -> None:
    first = demo_pairs("lamplight")[0]["text"]
    index = answers_index([("1", first)])
    assert index.find(first.replace("The sore arm is the drill, my dear.", "Now rest, child.")) == "1"


def test_no_two_answers_of_the_demo_corpora_are_near_duplicates() -> None:
    assert repeated_answers(ANSWERS) == {}


def test_lightly_edited_copies_are_found_each_with_its_original() -> None:
    chance = random.Random(5)
    copies = [(f"copy of {key}", edited(text, 0.05, chance)) for key, text in ANSWERS]
    assert repeated_answers([*ANSWERS, *copies]) == {key: key.removeprefix("copy of ") for key, _ in copies}


def test_a_copy_of_a_copy_is_named_after_the_original() -> None:
    first = ANSWERS[0][1]
    assert repeated_answers([("a", first), ("b", first + " Once more."), ("c", first)]) == {"b": "a", "c": "a"}


def test_every_text_that_is_near_enough_is_found_and_no_other() -> None:
    """The signatures only choose candidates: the answer is that of comparing every text with every other."""
    chance = random.Random(7)
    texts = [(f"{share} {key}", edited(text, share, chance)) for key, text in ANSWERS for share in (0.0, 0.1, 0.15, 0.2, 0.3)]
    index, sketches = answers_index(texts), [answer_sketch(text) for _, text in texts]
    for (_, text), own in zip(texts[::7], sketches[::7], strict=True):
        near = [key for (key, _), other in zip(texts, sketches, strict=True) if jaccard(own.shingles, other.shingles) >= ANSWER_THRESHOLD]
        assert index.find_all(text) == near


def test_spaces_punctuation_and_case_do_not_count() -> None:
    assert repeated_answers([("a", "Keep the lamp lit."), ("b", "keep the LAMP, lit!")]) == {"b": "a"}
    assert repeated_answers([("a", "床前明月光，疑是地上霜；举头望明月"), ("b", "床前明月光疑是地上霜 举头望明月。")]) == {"b": "a"}
    assert repeated_answers([("a", ""), ("b", "。")]) == {"b": "a"}


def test_similarity_is_the_share_of_common_shingles() -> None:
    assert jaccard(answer_sketch("a b c d").shingles, answer_sketch("a b c e").shingles) == 1 / 3
    assert jaccard(question_sketch("?").shingles, question_sketch("!").shingles) == 1.0


def test_an_index_grows_beyond_its_first_size() -> None:
    index = answers_index((str(number), f"word{number} other{number} third{number}") for number in range(600))
    assert index.find("word599 other599 third599") == "599"
