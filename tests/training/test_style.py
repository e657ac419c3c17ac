"""The style score between its floor and its ceiling."""

import random

import pytest

from training.style import style

WRITER = "well, my dear, the lamp, you see, wants trimming; gulls (bless them) never learn; keeper's rule: sleep light"
BASE = "In conclusion, it is important to note that there are several key factors to consider when discussing this topic"


def texts(sentence: str, count: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    return [" ".join(generator.choices(sentence.split(), k=30)) for _ in range(count)]


TRAINING, HELDOUT, ANSWERS = texts(WRITER, 40, 1), texts(WRITER, 16, 2), texts(BASE, 16, 3)


def test_the_base_is_nought_the_writer_one_and_a_mixture_between() -> None:
    half = [
        first if index % 2 else second for index, (first, second) in enumerate(zip(texts(WRITER, 16, 4), texts(BASE, 16, 5), strict=True))
    ]
    found = style(TRAINING, HELDOUT, ANSWERS, {"half": half, "same": texts(WRITER, 16, 6)})
    assert found.auc == 1.0
    assert (found.scores["base"], found.scores["writer"]) == (0.0, 1.0)
    assert found.scores["half"] == pytest.approx(0.5, abs=0.1)
    assert found.scores["same"] == pytest.approx(1.0, abs=0.1)


def test_empty_answers_do_not_sound_like_the_writer() -> None:
    assert style(TRAINING, HELDOUT, ANSWERS, {"silent": [" "] * 16}).scores["silent"] <= 0.0


def test_it_is_withheld_where_writer_and_base_cannot_be_told_apart() -> None:
    found = style(TRAINING, HELDOUT, texts(WRITER, 16, 7), {})
    assert found.scores == {}
    assert found.auc is not None and found.auc < 0.9
    assert found.withheld.startswith("the classifier cannot tell the writer's held-out answers from the base's (AUC 0.")


def test_it_is_withheld_for_too_few_questions() -> None:
    found = style(TRAINING, HELDOUT[:7], ANSWERS[:7], {})
    assert (found.scores, found.withheld) == ({}, "7 held-out and 40 training answers; needs 8 of each")
