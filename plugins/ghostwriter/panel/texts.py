"""Two texts made fit to stand beside each other: formatting stripped, whole sentences, like lengths.

What a reader must not go by is taken from both sides alike: marks of formatting, a break in mid-sentence, and length (readers
prefer the longer text whatever it says).
"""

import math
import re

from ghostwriter.words.catalogue import Language

RATIO = 1.5
"""The longer of two texts is less than so many times as long as the shorter."""
MOST: dict[Language, int] = {"en": 220, "zh": 380}
"""Words, or Chinese characters, of a text: a reader's minute."""
_SENTENCE = re.compile(r"[^.!?。！？…\n]*(?:[.!?。！？…]+[\"'”’」』）)\]]*|\n|$)\s*")
_ENDED = re.compile(r"[.!?。！？…]+[\"'”’」』）)\]]*\s*$")
_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"^\s*(?:```|~~~).*$", re.M), ""),
    (re.compile(r"^\s*(?:[-*_]\s*){3,}$", re.M), ""),
    (re.compile(r"^\s*\|?[\s:|-]*-[\s:|-]*$", re.M), ""),
    (re.compile(r"!\[[^\]]*\]\([^)]*\)"), ""),
    (re.compile(r"\[([^\]]+)\]\([^)]*\)"), r"\1"),
    (re.compile(r"</?[A-Za-z][^<>]*>"), ""),
    (re.compile(r"^\s*(?:>\s*)+", re.M), ""),
    (re.compile(r"^\s*#{1,6}\s+", re.M), ""),
    (re.compile(r"^\s*(?:[-*+•·]\s+|\d{1,2}[.)]\s+|\d{1,2}、)", re.M), ""),
    (re.compile(r"^\s*\||\|\s*$", re.M), ""),
    (re.compile(r"\s*\|\s*"), " "),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*_])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*_])"), r"\2"),
    (re.compile(r"`+"), ""),
)
_STRAIGHT = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'"})


def plain(text: str, language: Language) -> str:
    """The text without marks of formatting, one paragraph a line; English quotation marks are straight."""
    for pattern, instead in _MARKUP:
        text = pattern.sub(instead, text)
    lines = (re.sub(r"[^\S\n]+", " ", line).strip() for line in text.splitlines())
    found = "\n".join(line for line in lines if line)
    return _whole(found.translate(_STRAIGHT) if language == "en" else found)


def length(text: str, language: Language) -> int:
    """Words, or Chinese characters."""
    return len(text.split()) if language == "en" else len(re.sub(r"\s", "", text))


def cut(text: str, most: int, language: Language) -> str:
    """The sentences at the beginning that are not longer than `most` together; empty when the first one is."""
    kept, room = "", most
    for sentence in _SENTENCE.findall(text):
        room -= length(sentence, language)
        if room < 0:
            break
        kept += sentence
    return kept.strip()


def matched(one: str, other: str, language: Language) -> tuple[str, str] | None:
    """Both texts at like lengths, the longer cut at a sentence; None where no cut does that, or both say the same."""
    pair = [cut(plain(text, language), MOST[language], language) for text in (one, other)]
    short, long = sorted((0, 1), key=lambda place: length(pair[place], language))
    limit = math.ceil(RATIO * length(pair[short], language)) - 1
    if length(pair[long], language) > limit:
        pair[long] = cut(pair[long], limit, language)
    sizes = sorted(length(text, language) for text in pair)
    if not sizes[0] or sizes[1] >= RATIO * sizes[0] or pair[0] == pair[1]:
        return None
    return pair[0], pair[1]


def _whole(text: str) -> str:
    """Without a last sentence that has no end, where that is the lesser part: an answer that was cut off would give itself away."""
    if _ENDED.search(text):
        return text
    ends = [found.end() for found in _SENTENCE.finditer(text) if _ENDED.search(found[0]) or found[0].endswith("\n")]
    kept = text[: ends[-1]].rstrip() if ends else ""
    return kept if 2 * len(kept) >= len(text) else text
