"""Other writers, for the style classifier to tell the writer from: built-in texts of many registers, or the dataset's own.

The built-in texts, English and Chinese, were written for this project. A dataset folder may hold texts of real other writers in
`contrast.jsonl`, rows of the same form as its others; they are added to the built-in ones.
"""

from collections.abc import Sequence
from pathlib import Path

from training.rows.data import read_messages

CONTRAST_FILE = "contrast.jsonl"
HERE = Path(__file__).parent
SEPARATOR = "\n---\n"
CHINESE_SHARE = 0.2
"""From this share of Chinese characters on, a writer's language is Chinese."""


def other_writers(dataset: Path, language: str) -> list[str]:
    """Texts of other writers in `language` (en or zh), and those of the dataset. Raises DatasetError."""
    own = read_messages(dataset, [CONTRAST_FILE]) if (dataset / CONTRAST_FILE).exists() else []
    return [*(messages[-1]["content"] for _, messages in own), *built_in(language)]


def language_of(texts: Sequence[str]) -> str:
    """`zh` or `en`."""
    characters = [character for text in texts for character in text if not character.isspace()]
    chinese = sum("\u4e00" <= character <= "\u9fff" for character in characters)
    return "zh" if chinese > CHINESE_SHARE * len(characters) else "en"


def built_in(language: str) -> list[str]:
    """The built-in texts in `language` (en or zh)."""
    return (HERE / f"{language}.txt").read_text(encoding="utf-8").strip().split(SEPARATOR)
