"""What texts alone say of each arm: style in two views or three, phrases, degeneration, memorisation.

Imports no torch, so that a process of its own starts soon.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from training.bootstrap import Measured, mean
from training.measure.degeneration import degeneration
from training.measure.measures import BASE, WRITER
from training.measure.memorisation import memorisation
from training.measure.phrases import Phrases, find_phrases

if TYPE_CHECKING:
    from training.measure.style_transfer import Gains
    from training.measure.views import Views


@dataclass(frozen=True)
class Texts:
    """`training`: the writer's other answers. `teacher`: the teacher's, which arms learned too.
    `twins`: plain rewrites of `training`, by their place there. `others`: other writers' texts."""

    training: Sequence[str]
    teacher: Sequence[str]
    twins: Mapping[int, str]
    others: Sequence[str]
    language: str
    answers: Mapping[str, Sequence[str]]
    """By arm, `writer` among them, in the order of the questions."""
    finished: Mapping[str, Sequence[bool]]
    """Whether each answer came to its end, by arm."""
    transfer: "Gains" = field(default_factory=dict)
    """By arm and crowd (training.measure.style_transfer); empty where the base is too small for that view."""


@dataclass(frozen=True)
class TextFigures:
    """`measured`: figures of each arm and of the writer. `phrases`: the commonest that were counted."""

    views: "Views"
    phrases: dict[str, list[str]]
    measured: dict[str, dict[str, Measured]]


def text_figures(texts: Texts, seed: int) -> TextFigures:
    """All of them; `seed` is that of the bootstrap."""
    from training.measure.views import views  # scikit-learn comes with it

    arms = {name: answers for name, answers in texts.answers.items() if name != WRITER}
    writer, base = texts.answers[WRITER], arms.get(BASE, ())
    seen = views(texts.training, texts.others, writer, arms, base, texts.twins, texts.transfer, seed)
    phrases = _phrases(texts, base)
    measured = memorisation(texts.answers, [*texts.training, *texts.teacher])
    for name, answers in texts.answers.items():
        measured[name] |= degeneration(answers, texts.finished[name], writer) | phrases.measures(answers)
        measured[name] |= {view: mean(one.scores[name]) for view, one in seen.styles.items() if name in one.scores}
    return TextFigures(seen, phrases.listed, measured)


def _phrases(texts: Texts, base: Sequence[str]) -> Phrases:
    return find_phrases(texts.training, [*base, *texts.teacher], [*base, *texts.others], texts.language)
