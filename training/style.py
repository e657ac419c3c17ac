"""How much texts sound like the writer: an authorship classifier, scaled between the base's answers and the writer's own.

The classifier (character 2- to 4-grams, logistic regression) learns the writer's training answers against the base's held-out
answers. It never scores a text it has learned: the base's answers are divided into folds, and everything that belongs to a
question is scored by the classifier that did not see the base's answer to that question. No single measure suffices (arXiv
2604.26460), and this one is withheld where it cannot tell the writer from the base.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer  # type: ignore[import-untyped]
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]
from sklearn.pipeline import Pipeline, make_pipeline  # type: ignore[import-untyped]

FOLDS = 4
MIN_QUESTIONS = 8
MIN_AUC = 0.9


@dataclass(frozen=True)
class Style:
    """`scores` by arm: 0 is the base, 1 the writer; empty when `withheld` says why. `auc`: writer's against base's held-out answers."""

    scores: dict[str, float]
    auc: float | None
    withheld: str = ""


def style(training: Sequence[str], writer: Sequence[str], base: Sequence[str], arms: Mapping[str, Sequence[str]]) -> Style:
    """Score each arm's answers to the questions that `writer` and `base` answer in the same order; `training` are the writer's others."""
    if len(writer) < MIN_QUESTIONS or len(training) < MIN_QUESTIONS:
        return Style({}, None, f"{len(writer)} held-out and {len(training)} training answers; needs {MIN_QUESTIONS} of each")
    groups = {"writer": writer, "base": base, **arms}
    likeness = _cross_fitted(training, base, groups)
    auc = float(roc_auc_score([1] * len(writer) + [0] * len(base), np.concatenate([likeness["writer"], likeness["base"]])))
    floor, ceiling = float(likeness["base"].mean()), float(likeness["writer"].mean())
    if auc < MIN_AUC:
        return Style({}, auc, f"the classifier cannot tell the writer's held-out answers from the base's (AUC {auc:.2f}, needs {MIN_AUC})")
    return Style({arm: (float(values.mean()) - floor) / (ceiling - floor) for arm, values in likeness.items()}, auc)


Scores = np.ndarray[tuple[int], np.dtype[np.float64]]


def _cross_fitted(training: Sequence[str], base: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, Scores]:
    """Probability of being the writer's for each text of each group; 0 for a text without letters."""
    likeness = {name: np.zeros(len(base)) for name in groups}
    for fold in range(FOLDS):
        held = [index for index in range(len(base)) if index % FOLDS == fold]
        learned = [text for index, text in enumerate(base) if index % FOLDS != fold]
        classifier = _classifier().fit([*training, *learned], [1] * len(training) + [0] * len(learned))
        for name, texts in groups.items():
            asked = [texts[index] for index in held]
            likeness[name][held] = np.where([bool(text.strip()) for text in asked], classifier.predict_proba(asked)[:, 1], 0.0)
    return likeness


def _classifier() -> Pipeline:
    features = TfidfVectorizer(analyzer="char", ngram_range=(2, 4), sublinear_tf=True, lowercase=False, max_features=50_000)
    return make_pipeline(features, LogisticRegression(class_weight="balanced", C=10.0, max_iter=1000))
