"""English words, sentences and pages into a writer's language. Log lines stay English."""

import tomllib
from functools import cache
from inspect import cleandoc
from pathlib import Path
from typing import Literal

Language = Literal["en", "zh"]
PROBLEMS, SENTENCES = "problems", "sentences"
"""The table of a catalogue whose keys are kinds of errors instead of English words; and that of patterns (`words.sentences`)."""


@cache
def catalogue(language: Language) -> dict[str, dict[str, str]]:
    """The tables of a language's file; none for English."""
    if language == "en":
        return {}
    return tomllib.loads((Path(__file__).parent / f"{language}.toml").read_text(encoding="utf-8"))


@cache
def _by_english(language: Language) -> dict[str, str]:
    return {english: words for table, part in catalogue(language).items() if table != PROBLEMS for english, words in part.items()}


def say(text: str, language: Language) -> str:
    """The text in the language, with the same places to fill in; as it is where the catalogue lacks it."""
    return _by_english(language).get(text, text)


def say_page(text: str, language: Language) -> str:
    """A text of several lines, which the catalogue holds by its first one."""
    english = cleandoc(text)
    return _by_english(language).get(english.partition("\n")[0], english).strip()


def say_problem(code: str, details: str, language: Language) -> str:
    """What a person is told of an error: in English its own words, else a sentence on its kind, and those behind it."""
    sentence = catalogue(language).get(PROBLEMS, {}).get(code)
    return f"{sentence}\n{details}" if sentence else details
