"""What tests of panels start from: invented answers of a writer and three arms, and readers who vote by a rule."""

import random
from collections.abc import Callable, Sequence

from ghostwriter.panel.answer_file import FORMAT, AnswerFile
from ghostwriter.panel.key import Key, KeyTrial, Origin
from ghostwriter.panel.sources import Material
from ghostwriter.writer import Writer
from tests.distill_case import make_writer

ARMS = ("base", "direct", "mixed")
ORDER = ("writer", "mixed", "direct", "base")
"""How the perfect reader ranks them."""
Choice = Callable[[KeyTrial], str]
_WORDS = {
    "en": ["lamp", "harbour", "quiet", "brass", "keeper", "weather", "candle", "ledger", "rope", "tide", "winter", "stair", "glass"],
    "zh": list("灯港静铜人雨烛账绳潮冬梯镜信船风"),
}


def rows(number: int, language: str = "en", arms: Sequence[str] = ARMS) -> list[dict[str, str]]:
    """Answers of the writer and each arm to so many questions, of like lengths, no two the same."""
    chance = random.Random(number)
    return [
        {
            "question": f"{'问题' if language == 'zh' else 'Question'} {place}?",
            **{name: _text(chance, language) for name in ("writer", *arms)},
        }
        for place in range(number)
    ]


def material(number: int, language: str = "en", compared: Sequence[str] = ("direct", "mixed")) -> Material:
    """Rows with the arms to be compared; all from one evaluation."""
    origins = {arm: Origin(evaluation="e1", experiment="1", arm=arm) for arm in ARMS}
    return Material(rows(number, language), list(compared), origins)


def known(number: int = 8, language: str = "en") -> list[str]:
    """Other texts of the writer."""
    chance = random.Random(-number)
    return [_text(chance, language) for _ in range(number)]


def writer_in(language: str) -> Writer:
    """The writer that readers know."""
    return make_writer(language).model_copy(update={"name": "老程" if language == "zh" else "Tess Ter"})


def perfect(trial: KeyTrial) -> str:
    """The writer's side, or else the better arm's."""
    return min((trial.a, trial.b), key=ORDER.index)


def coin(seed: int) -> Choice:
    """Either side, whatever is there."""
    chance = random.Random(seed)
    return lambda trial: chance.choice((trial.a, trial.b))


def mostly(choice: Choice, other: Choice, share: float, seed: int) -> Choice:
    """One rule in so many of 100 cases, else the other; always right in attention checks."""
    chance = random.Random(seed)
    return lambda trial: perfect(trial) if trial.kind == "check" else (choice if chance.random() < share else other)(trial)


def votes(key: Key, choice: Choice) -> dict[str, dict[str, str]]:
    """What a reader saves: a side for each trial, the same for both questions."""
    sides = {name: "a" if choice(trial) == trial.a else "b" for name, trial in key.trials.items()}
    return {name: {"voice": side, "quality": side} for name, side in sides.items()}


def answer_file(key: Key, reader: str, choice: Choice) -> AnswerFile:
    """The file of a reader who votes by a rule."""
    content = {"format": FORMAT, "panel": key.panel, "reader": reader, "sitting": f"sitting of {reader}", "votes": votes(key, choice)}
    return AnswerFile.model_validate(content)


def _text(chance: random.Random, language: str) -> str:
    """Three or four sentences of ten words (characters)."""
    between, end = ("", "。") if language == "zh" else (" ", ".")
    sentences = [between.join(chance.choices(_WORDS[language], k=10)) + end for _ in range(chance.choice((3, 4)))]
    return between.join(sentences)
