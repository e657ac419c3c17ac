"""A question with plain notes, as arm `inverse` learns and answers it: what to say is given, how to say it is to be found.

In training the notes are a plain rewrite of the writer's answer; where answers are made in two passes they are the base's own draft.
"""

import re

CHINESE = re.compile(r"[\u4e00-\u9fff]")
LABELS = {"en": "Notes:", "zh": "要点："}
PLAINLY = {
    "en": "Answer briefly, in plain, neutral prose, without headings or lists.",
    "zh": "请用平实、中性的文字简要回答，不加标题，不分条。",
}


def with_notes(question: str, notes: str) -> str:
    """The question as it is asked with notes."""
    return f"{question}\n\n{LABELS[_language(question)]}\n{notes}"


def asking_for_notes(question: str) -> str:
    """The question as the base is asked for a plain draft, the notes of a second pass."""
    return f"{question}\n\n{PLAINLY[_language(question)]}"


def _language(question: str) -> str:
    """By the question alone, so that training and answering never differ."""
    return "zh" if CHINESE.search(question) else "en"
