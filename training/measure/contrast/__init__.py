"""Other writers, for the style classifier to tell the writer from: built-in texts of many registers, or the dataset's own.

The built-in texts, English and Chinese, are people's, under free licences (README.md beside this file says whose). A dataset
folder may hold texts of real other writers in `contrast.jsonl`, rows of the same form as its others; where those suffice, the
built-in ones, which are about other things than the writer, are left out.
"""

from collections.abc import Sequence
from pathlib import Path

from training.rows.data import read_messages

CONTRAST_FILE = "contrast.jsonl"
HERE = Path(__file__).parent
WORKS = {"en": ("debian-handbook", "debian-faq", "fortunes"), "zh": ("debian-handbook", "debian-faq", "sanguo")}
"""A file each, since their licences do not mix; in this order, which kept figures go by."""
ENOUGH = 100
"""Texts of the dataset's own from which the built-in ones are no longer needed."""
SEPARATOR = "\n---\n"
CHINESE_SHARE = 0.2
"""From this share of Chinese characters on, a writer's language is Chinese."""


def other_writers(dataset: Path, language: str) -> list[str]:
    """Texts of other writers: the dataset's own where there are enough, else those and the built-in ones in `language` (en or zh).

    Raises DatasetError.
    """
    rows = read_messages(dataset, [CONTRAST_FILE]) if (dataset / CONTRAST_FILE).exists() else []
    own = [messages[-1]["content"] for _, messages in rows]
    return own if len(own) >= ENOUGH else [*own, *built_in(language)]


def language_of(texts: Sequence[str]) -> str:
    """`zh` or `en`."""
    characters = [character for text in texts for character in text if not character.isspace()]
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in characters)
    return "zh" if chinese > CHINESE_SHARE * len(characters) else "en"


def built_in(language: str) -> list[str]:
    """The built-in texts in `language` (en or zh)."""
    files = [HERE / language / f"{work}.txt" for work in WORKS[language]]
    return [text for file in files for text in file.read_text(encoding="utf-8").strip().split(SEPARATOR)]
