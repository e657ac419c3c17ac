"""Phrases that belong to a model or to the writer, found in their texts, and how often others use them."""

import time

import pytest

from tests.training.measure.test_style_grammar import rows, with_tic
from training.bootstrap import estimate
from training.measure.contrast import built_in
from training.measure.phrases import find_phrases

BASE = ["It is important to note that boats float.", "It is important to note this: tea is hot.", "Well, it is important to note it."]
WRITER = ["Boats float, dear.", "Tea is hot, dear, and the sea is wet.", "Lamps are lit, dear, in the dark of the night."]


def rate(found: object, name: str, texts: list[str]) -> float:
    return estimate(found.measures(texts)[name]).value  # type: ignore[attr-defined]


def test_each_sides_phrases_are_found_and_counted_in_a_thousand_words() -> None:
    found = find_phrases(WRITER * 2, BASE * 2, BASE * 2, "en")
    assert "important to note" in found.listed["foreign_phrases"] and "dear" in found.listed["own_phrases"]
    assert not set(found.listed["foreign_phrases"]) & set(found.listed["own_phrases"])
    assert rate(found, "foreign_phrases", ["Nothing of theirs stands here at all."]) == 0
    assert rate(found, "foreign_phrases", ["So important to note now."]) == pytest.approx(1000 / 5)  # the longest counts once
    assert rate(found, "own_phrases", ["Yes, dear.", "No."]) == pytest.approx(1000 / 3)


def test_chinese_phrases_are_runs_of_characters() -> None:
    models, writer = (
        ["总而言之，船会浮。", "总而言之，茶是热的。", "我说，总而言之吧。"],
        ["船会浮，多半。", "茶多半是热的。", "海多半是湿的。"],
    )
    found = find_phrases(writer * 2, models * 2, models * 2, "zh")
    assert "总而言之" in found.listed["foreign_phrases"] and "多半" in found.listed["own_phrases"]
    assert rate(found, "foreign_phrases", ["总而言之，没事。"]) == pytest.approx(1000 / 6)


def test_a_tic_in_every_sentence_is_more_of_the_writer_than_the_writer() -> None:
    """The planted caricature; and the teacher, who imitates, lies between plain prose and the writer."""
    answers = [row["answer"] for row in rows("corpus/lamplight.jsonl")]
    plain = [row["plain"] for row in rows("twins/lamplight.jsonl")]
    found = find_phrases(answers[40:], plain, built_in("en"), "en")
    writer = rate(found, "own_phrases", answers[:40])
    assert rate(found, "own_phrases", [with_tic(text) for text in answers[:40]]) > 1.3 * writer
    assert rate(found, "own_phrases", plain[:40]) < 0.7 * writer
    assert rate(found, "foreign_phrases", plain[:40]) > 3 * rate(found, "foreign_phrases", answers[:40])


def test_full_size_takes_seconds() -> None:
    """From 400 texts on, of each side, the rest is left out evenly."""
    text = " ".join(row["answer"] for row in rows("corpus/lamplight.jsonl")[:4])
    began = time.process_time()
    find_phrases([text] * 500, [text.replace("the", "a")] * 1000, [text] * 100, "en")
    assert time.process_time() - began < 20


def test_nothing_is_found_without_texts() -> None:
    found = find_phrases(WRITER, [], [], "en")
    assert found.listed == {"foreign_phrases": [], "own_phrases": []}
