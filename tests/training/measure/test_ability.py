"""The probe's tasks mark right and wrong answers as a person would; the style distance knows a crowd."""

from pathlib import Path

import numpy as np
import pytest
import torch

from training.bootstrap import estimate
from training.measure.ability import tasks
from training.measure.style_distance import embed, style_distance
from training.models.model import load_base

RIGHT = {
    "What is 7 + 5? Answer with the number only.": ("12", "It is twelve.", "The answer is 12."),
    "Answer with one word, yes or no: is ice cold?": ("Yes", "yes."),
    "Write the word HELLO and nothing else.": ("HELLO", "Hello."),
    "一个星期有几天?": ("七天", "一个星期有7天。"),
    "请只回答“是”或“否”:冰是冷的吗?": ("是", "是。"),
}
WRONG = {
    "What is 7 + 5? Answer with the number only.": ("112", "13", ""),
    "Answer with one word, yes or no: is ice cold?": ("No", "I would say yes"),
    "Write the word HELLO and nothing else.": ("Sure! HELLO",),
    "一个星期有几天?": ("六天", "我从来没学过。"),
    "请只回答“是”或“否”:冰是冷的吗?": ("否", "冰是冷的"),
}


@pytest.mark.parametrize("question", RIGHT)
def test_right_answers_are_marked_right_and_wrong_ones_wrong(question: str) -> None:
    (task,) = [task for task in tasks() if task.question == question]
    assert [task.is_solved_by(text) for text in RIGHT[question]] == [True] * len(RIGHT[question])
    assert [task.is_solved_by(text) for text in WRONG[question]] == [False] * len(WRONG[question])


def test_no_refusal_solves_a_task_and_no_task_comes_twice() -> None:
    assert [task.question for task in tasks() if task.is_solved_by("I never learned that, dear.")] == []
    assert len({task.question for task in tasks()}) == len(tasks()) >= 30


def crowd(centre: float, count: int, seed: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    return np.random.default_rng(seed).normal(0, 1, (count, 6)) + np.array([centre, 0, 0, 0, 0, 0])


def test_texts_read_together_are_embedded_as_each_alone(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.measure.style_distance.BATCH", 3)
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    texts = ["a longer text than the others, by some words", "", "short", "灯塔", "one of middling length"]
    looks = list[int]()
    table = embed(base, texts, lambda: looks.append(1))
    assert np.abs(table - np.concatenate([embed(base, [text]) for text in texts])).max() < 1e-5
    assert np.abs(table).sum(axis=1).astype(bool).tolist() == [True, False, True, True, True]
    assert len(looks) == 2


def test_a_crowd_like_the_writer_is_near_nought_the_base_one_and_one_text_said_always_far() -> None:
    training, writer, base = crowd(0, 40, 1), crowd(0, 40, 2), crowd(4, 40, 3)
    arms = {"writer": writer, "base": base, "like": crowd(0, 40, 4), "between": crowd(1, 40, 5), "same": np.repeat(writer[:1], 40, axis=0)}
    found, why_not = style_distance(training, writer, base, arms)
    values = {name: estimate(one).value for name, one in found.items()}
    assert why_not == ""
    assert values["base"] == pytest.approx(1.0)
    assert abs(values["like"]) < 0.1 and abs(values["writer"]) < 0.1
    assert 0.1 < values["between"] < 0.9
    assert values["same"] > 0.9


def test_it_is_withheld_where_the_base_is_like_the_writer() -> None:
    found, why_not = style_distance(crowd(0, 40, 1), crowd(0, 40, 2), crowd(0, 40, 3), {})
    assert found == {}
    assert why_not.startswith("the base's answers stand no further from the writer's than the writer's own")
