"""Finished English sentences into a writer's language: a verdict, a statement, a refusal, as they stand in records and errors.

Records stay English, so that every version of this project reads those of every other. Whoever shows a sentence to a person
finds the pattern it was made from in the catalogue's table `sentences`, whose places say what may stand there:

    %(name)s  anything      %(name)d  a number      %(name)i  a change with its interval: +0.10 [+0.04, +0.16]
    %(name)w  one word      %(name)a  several parts, divided by "; " and " or ", or by ", " outside of brackets

What fills a place is itself said in the language. The first pattern that fits counts; without one the sentence stays English.
"""

import re
from functools import cache, partial

from ghostwriter.words.catalogue import SENTENCES, Language, catalogue, say

PLACE = re.compile(r"%\((\w+)\)([sdiwa])")
KINDS = {"s": ".+?", "a": ".+?", "d": r"[+-]?\d[\d.,]*%?", "i": r"[+-][\d.]+ \[[^\]]*\]", "w": r"[\w-]+"}
PARTS, PIECES = re.compile("(; | or )"), re.compile(r"(, (?![^(\[]*[)\]]))")


def say_sentence(text: str, language: Language) -> str:
    """The sentence in the language, with the same figures; as it is where no pattern fits."""
    for pattern, words in _patterns(language):
        if found := pattern.fullmatch(text):
            return PLACE.sub(partial(_say_filled, found, language), words)
    return say(text, language)


@cache
def _patterns(language: Language) -> list[tuple[re.Pattern[str], str]]:
    return [(_pattern(english), words) for english, words in catalogue(language).get(SENTENCES, {}).items() if PLACE.search(english)]


def _pattern(english: str) -> re.Pattern[str]:
    written = PLACE.split(english)  # words, name, kind, words, name, kind, ... words
    places = zip(written[1::3], written[2::3], written[3::3], strict=True)
    return re.compile(re.escape(written[0]) + "".join(f"(?P<{name}>{KINDS[kind]}){re.escape(after)}" for name, kind, after in places))


def _say_filled(found: re.Match[str], language: Language, place: re.Match[str]) -> str:
    """What was found at a place, in the language."""
    value, kind = found[place[1]], place[2]
    if kind != "a":
        return say_sentence(value, language)
    return "".join(_say_part(part, language) for part in PARTS.split(value))


def _say_part(part: str, language: Language) -> str:
    whole = say_sentence(part, language)
    return whole if whole != part else "".join(say_sentence(piece, language) for piece in PIECES.split(part))
