"""Near duplicates are found, and only they."""

from ghostwriter.similarity import answer_sketch, answers_index, jaccard, question_sketch, questions_index
from tests.distill_case import demo_pairs


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
    for name in ("lamplight", "laocheng"):
        index = answers_index()
        for row in demo_pairs(name):
            assert index.find(row["text"]) is None
            index.add(row["id"], row["text"])


def test_similarity_is_the_share_of_common_shingles() -> None:
    assert jaccard(answer_sketch("a b c d"), answer_sketch("a b c e")) == 1 / 3
    assert jaccard(question_sketch("?"), question_sketch("!")) == 1.0


def test_an_index_grows_beyond_its_first_size() -> None:
    index = answers_index((str(number), f"word{number} other{number} third{number}") for number in range(600))
    assert index.find("word599 other599 third599") == "599"
