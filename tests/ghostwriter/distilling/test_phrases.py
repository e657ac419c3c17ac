"""Refusals and talk about the task: each pattern finds its own kind, and the words that stand for it hide none of it."""

import re

import pytest

from ghostwriter.distilling.phrases import META, REFUSALS, is_meta, is_refusal
from tests.distill_case import demo_pairs

REFUSING = (
    "As a AI I say no.",
    "As an AI, no.",
    "as an artificial intelligence I say no",
    "As a large language model, no.",
    "I'm an AI.",
    "I am just a language model.",
    "I’m a virtual assistant.",
    "I'm sorry, but I must not.",
    "I’m sorry but I must not.",
    "I cannot help you.",
    "I can't create that.",
    "I am unable to comply.",
    "I'm unable to assist.",
    "作为一个AI，不行。",
    "作为大模型，不行。",
    "我是人工智能。",
    "我只是一个语言模型。",
    "抱歉，我无法说。",
    "对不起没法说",
    "我无法回答。",
    "我不能协助。",
)
TALKING = (
    "Sure, here it is.",
    "Certainly! Below you find it.",
    "Of course, I will.",
    "absolutely. here you go",
    "Here's an answer:",
    "Here is my own version:",
    "That was in the style of him.",
    "Written in the same voice of her.",
    "This imitates the author's warm style.",
    "I mimicked his voice.",
    "Emulating the tone.",
    "It captures the author's own dry tone.",
    "This answer is meant well.",
    "this reply was written quickly",
    "**Answer in her voice:**\n\nNo.",
    "Response:\nNo.",
    "As the above examples show.",
    "the given question",
    "Q: why?",
    "Example 3: this.",
    "No.\n\nQuestion 4: why?",
    "No.\nExample: this.",
    "No.<|im_end|>",
    "[/INST] No.",
    "[inst] No.",
    "好的，以下就是。",
    "当然！这是它。",
    "以下是我的回答",
    "下面是答案",
    "模仿老程的口吻",
    "上面示例中说过",
    "以上例子中",
    "问题：怎么办",
    "不行。\n回答: 行",
)


@pytest.mark.parametrize("text", REFUSING)
def test_a_refusal_is_found(text: str) -> None:
    assert is_refusal(text)
    assert is_refusal("A word before. " + text.upper() + " And after.")


@pytest.mark.parametrize("text", TALKING)
def test_talk_about_the_task_is_found(text: str) -> None:
    assert is_meta(text)
    assert is_meta(text.upper())


@pytest.mark.parametrize(("patterns", "texts"), [(REFUSALS, REFUSING), (META, TALKING)])
def test_every_pattern_has_an_example_here(patterns: dict[str, tuple[str, ...]], texts: tuple[str, ...]) -> None:
    assert [pattern for pattern in patterns if not any(re.search(pattern, text.lower()) for text in texts)] == []


def test_the_demo_writers_neither_refuse_nor_talk_about_a_task() -> None:
    texts = [row["text"] for name in ("lamplight", "laocheng") for row in demo_pairs(name)]
    assert [text for text in texts if is_refusal(text) or is_meta(text)] == []
