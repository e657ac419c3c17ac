"""The second view of style: how much likelier a text's grammar is under the writer's than under other people's (LambdaG).

Nini et al. (arXiv 2403.08462) compare an n-gram model of the writer's masked text (training.measure.grammar) with models of as much
text by others, drawn several times, and take the mean logarithm of the ratio. It shares neither features nor training with
training.measure.style, so the two err in different ways. As there, no text is scored by a model that has read it, nor a plain rewrite
by one that has read its original. 1 is the mean of the writer's held-out answers; 0 that of plain rewrites or of other writers,
whichever is nearer to the writer: where there are rewrites, a change of topic earns nothing.
"""

import random
from collections.abc import Mapping, Sequence

import numpy as np

from training.measure.grammar import Grammar, Grams, Ids, ids_of
from training.measure.style import FOLDS, MIN_TEXTS, OTHERS, TWINS, WRITER, Scores, Style, scaled, separation, unseparated

DRAWS = 8
"""Pairs of models, each of texts drawn anew."""
MOST_TOKENS = 200_000
"""Of each model."""
MOST_SCORED = 400
"""Texts of other writers, and plain rewrites, that are scored for the floor."""


def grammar_style(
    training: Sequence[str],
    others: Sequence[str],
    writer: Sequence[str],
    base: Sequence[str],
    arms: Mapping[str, Sequence[str]],
    twins: Mapping[int, str] | None = None,
) -> Style:
    """Score each arm's answers to the questions that `writer` answers in the same order.

    `training` are the writer's other answers; `base` the untrained model's answers to the same questions, or empty; `twins` plain
    rewrites of training answers, by their place there.
    """
    if min(len(writer), len(training), len(others)) < MIN_TEXTS:
        counts = f"{len(writer)} held-out answers, {len(training)} training answers and {len(others)} texts of other writers"
        return Style(withheld=f"there are {counts}, and it needs {MIN_TEXTS} of each")
    ratios = _cross_fitted(training, others, base, {WRITER: writer, **arms}, twins or {})
    apart = separation(ratios)
    if unclear := unseparated(apart):
        return Style({}, apart[OTHERS], f"the grammars {unclear}", apart)
    return Style(scaled(ratios, list(apart)), apart[OTHERS], "", apart)


def _cross_fitted(
    training: Sequence[str],
    others: Sequence[str],
    base: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    twins: Mapping[int, str],
) -> dict[str, Scores]:
    """Mean log10 ratio a token of each text of each group, of other writers and of plain rewrites."""
    crowds = {**groups, OTHERS: others[:MOST_SCORED]} | ({TWINS: list(twins.values())[:MOST_SCORED]} if twins else {})
    found = {name: np.zeros(len(texts)) for name, texts in crowds.items()}
    places = {TWINS: [place % FOLDS for place in twins][:MOST_SCORED]}
    known = [ids_of(text) for text in training]
    foreign = [
        *((place % FOLDS, ids_of(text)) for texts in (others, base) for place, text in enumerate(texts)),
        *((place % FOLDS, ids_of(text)) for place, text in twins.items()),
    ]
    for fold in range(FOLDS):
        draw = random.Random(fold)
        ratio = _Ratio(
            [ids for place, ids in enumerate(known) if place % FOLDS != fold],
            [ids for of_fold, ids in foreign if of_fold != fold],
            draw,
        )
        for name, texts in crowds.items():
            of_fold = places.get(name, [place % FOLDS for place in range(len(texts))])
            chosen = [place for place, other in enumerate(of_fold) if other == fold]
            found[name][chosen] = ratio.of([texts[place] for place in chosen])
    return found


class _Ratio:
    """Models of the writer and of others, in pairs of equal size."""

    def __init__(self, known: Sequence[Ids], foreign: Sequence[Ids], draw: random.Random) -> None:
        room = min(MOST_TOKENS, *(sum(map(len, texts)) for texts in (known, foreign)))
        self._pairs = [tuple(Grammar(_drawn(texts, room, draw)) for texts in (known, foreign)) for _ in range(DRAWS)]

    def of(self, texts: Sequence[str]) -> Scores:
        """The mean over tokens and pairs for each text; NaN for a text without any token."""
        if not texts:
            return np.zeros(0)
        grams = Grams.of([ids_of(text) for text in texts])
        ratios = np.mean([own.log10(grams.codes) - other.log10(grams.codes) for own, other in self._pairs], axis=0)
        sums = np.bincount(grams.texts, weights=ratios, minlength=len(texts))
        lengths = np.bincount(grams.texts, minlength=len(texts))
        return np.where([bool(text.strip()) for text in texts], sums / lengths, np.nan)


def _drawn(texts: Sequence[Ids], room: int, draw: random.Random) -> Ids:
    """The runs of about `room` tokens of texts in random order."""
    chosen, size = [], 0
    for ids in draw.sample(list(texts), len(texts)):
        if size >= room:
            break
        chosen.append(ids)
        size += len(ids)
    return Grams.of(chosen).codes[:room]
