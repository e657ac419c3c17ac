"""How much texts sound like the writer: authorship verification, scaled between other writers and the writer's own held-out answers.

A classifier (logistic regression over training.style_features) learns the writer's training answers against other writers and the
base's answers. It never scores a text it has learned: other writers' texts and the base's answers are divided into folds, and
everything that belongs to a question is scored by the classifier that did not see the base's answer to that question.
No single measure of style suffices (arXiv 2604.26460), and this one is withheld where it cannot tell the writer from other writers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline, make_pipeline  # type: ignore[import-untyped]

from training.measure.style_features import features

FOLDS = 4
MIN_TEXTS = 5
MIN_AUC = 0.9
OTHERS, WRITER = "other writers", "writer"

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Style:
    """`scores`: arm to one figure a question, on a scale where 0 is the mean of other writers and 1 that of the writer; with `writer` and
    `other writers` themselves. Empty when `withheld` says why. `auc`: of the writer's held-out answers against other writers' texts."""

    scores: dict[str, Scores] = field(default_factory=dict)
    auc: float | None = None
    withheld: str = ""


def style(
    training: Sequence[str], others: Sequence[str], writer: Sequence[str], base: Sequence[str], arms: Mapping[str, Sequence[str]]
) -> Style:
    """Score each arm's answers to the questions that `writer` answers in the same order.

    `training` are the writer's other answers; `base` the untrained model's answers to the same questions, or empty.
    """
    if min(len(writer), len(training), len(others)) < MIN_TEXTS:
        counts = f"{len(writer)} held-out answers, {len(training)} training answers and {len(others)} texts of other writers"
        return Style(withheld=f"there are {counts}; it needs {MIN_TEXTS} of each")
    likeness = _cross_fitted(training, others, base, {WRITER: writer, **arms})
    own, foreign = likeness[WRITER], likeness[OTHERS]
    auc = float(roc_auc_score([1] * len(own) + [0] * len(foreign), np.concatenate([own, foreign])))
    if auc < MIN_AUC:
        return Style(
            {}, auc, f"the classifier cannot tell the writer's held-out answers from other writers' (AUC {auc:.2f}, needs {MIN_AUC})"
        )
    floor, ceiling = float(foreign.mean()), float(own.mean())
    return Style({arm: (values - floor) / (ceiling - floor) for arm, values in likeness.items()}, auc)


def _cross_fitted(
    training: Sequence[str], others: Sequence[str], base: Sequence[str], groups: Mapping[str, Sequence[str]]
) -> dict[str, Scores]:
    """Probability of being the writer's for each text of each group, and of other writers; 0 for a text without letters."""
    likeness = {name: np.zeros(len(texts)) for name, texts in {**groups, OTHERS: others}.items()}
    for fold in range(FOLDS):
        learned = [text for texts in (others, base) for index, text in enumerate(texts) if index % FOLDS != fold]
        classifier = _classifier().fit([*training, *learned], [1] * len(training) + [0] * len(learned))
        for name, texts in {**groups, OTHERS: others}.items():
            likeness[name][fold::FOLDS] = _likeness(classifier, texts[fold::FOLDS])
    return likeness


def _likeness(classifier: Pipeline, texts: Sequence[str]) -> Scores:
    if not texts:
        return np.zeros(0)
    return np.where([bool(text.strip()) for text in texts], classifier.predict_proba(texts)[:, 1], 0.0)


def _classifier() -> Pipeline:
    return make_pipeline(features(), LogisticRegression(class_weight="balanced", C=10.0, max_iter=1000))
