"""The views of style on the same texts, and what they make of the writer's own sentences in another order.

Views built differently: a classifier (training.measure.style), grammars (training.measure.style_grammar), and where the base is large
its own likelihoods (training.measure.style_transfer). The gate counts style as better only when they agree (arXiv 2508.06374: no
single measure agrees with people as well as several).
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from training.bootstrap import difference, mean
from training.contract import Estimate
from training.measure.style import WRITER, Style, style
from training.measure.style_features import SENTENCE
from training.measure.style_grammar import grammar_style
from training.measure.style_transfer import Gains, transfer_style

CLASSIFIER, GRAMMAR, TRANSFER = "style", "style_grammar", "style_transfer"
VIEWS = (CLASSIFIER, GRAMMAR)
"""Those that need nothing but texts."""
SHUFFLED = "sentences shuffled"


@dataclass(frozen=True)
class Views:
    """`styles`: name to view. `shuffled`: how far below the writer each view puts the writer's answers with shuffled sentences."""

    styles: dict[str, Style]
    shuffled: dict[str, Estimate]

    @property
    def withheld(self) -> dict[str, str]:
        """Why a view is withheld, where one is."""
        return {name: view.withheld for name, view in self.styles.items() if view.withheld}

    @property
    def separation(self) -> dict[str, dict[str, float]]:
        """View to AUC against each kind of text that is not the writer's."""
        return {name: view.separation for name, view in self.styles.items() if view.separation}


def views(
    training: Sequence[str],
    others: Sequence[str],
    writer: Sequence[str],
    arms: Mapping[str, Sequence[str]],
    base: Sequence[str] = (),
    twins: Mapping[int, str] | None = None,
    transfer: Gains | None = None,
    seed: int = 0,
) -> Views:
    """All views of the arms' answers; arguments as in training.measure.style_grammar, `transfer` where the base was asked too."""
    crowds = {**arms, SHUFFLED: [shuffled(text, seed) for text in writer]}
    styles = {
        CLASSIFIER: style(training, others, writer, base, crowds, list((twins or {}).values())),
        GRAMMAR: grammar_style(training, others, writer, base, crowds, twins),
    }
    if transfer:
        styles[TRANSFER] = transfer_style(transfer)
    moved = {name: (mean(view.scores.pop(SHUFFLED)), mean(view.scores[WRITER])) for name, view in styles.items() if SHUFFLED in view.scores}
    return Views(styles, {name: difference(after, before, seed) for name, (after, before) in moved.items()})


def shuffled(text: str, seed: int = 0) -> str:
    """The sentences of a text in random order; breaks stay where they are."""
    sentences = [found.strip() for found in SENTENCE.findall(text) if found.strip()]
    order = iter(random.Random(f"{seed} {text}").sample(sentences, len(sentences)))
    return SENTENCE.sub(lambda found: found[0].replace(found[0].strip(), next(order)) if found[0].strip() else found[0], text)
