"""How much texts sound like the writer: authorship verification, from other writers to the writer.

1 are the writer's own held-out answers, 0 other writers, or plain rewrites of the writer where those are nearer (they have the
writer's topics, so a change of topic earns nothing). A classifier (logistic regression over
training.measure.style_features) learns the writer's training answers against other writers and the base's answers.
All texts are cut to windows of equal length first: else a longer text has smoother features, and the figure is one of
length. Nothing is scored by a classifier that learned it: other writers' texts and the base's answers are divided into
folds, and all that belongs to a question is scored by the one that did not see the base's answer to it.
No single measure of style suffices (arXiv 2604.26460), and this one is withheld where it cannot tell the writer from
other writers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression  # type: ignore[import-untyped]
from sklearn.metrics import roc_auc_score  # type: ignore[import-untyped]

from training.measure.style_features import features

FOLDS = 4
MIN_TEXTS = 5
MIN_OTHER_WINDOWS = 100
"""Windows of other writers' texts; from fewer the floor is a matter of luck."""
MIN_AUC = 0.9
WINDOW_CHARACTERS = (80, 140)
"""Between these lies a window's length. Windows of 400 gave a writer's own sentences 0.31 when only 140 characters of them were
said, those of 140 gave 0.99 (training/LOG.md)."""
SHORT_ANSWERS = 0.1
"""Share of the writer's answers that may be shorter than a window."""
WINDOWS_OF_A_TEXT = 8
"""At most."""
MOST_WINDOWS = 4000
"""Of the writer's training answers, and of other writers, that are learned; texts are left out evenly."""
OTHERS, TWINS, WRITER = "other writers", "plain rewrites", "writer"
BASE_LEARNED = "base learned"

Scores = np.ndarray[tuple[int], np.dtype[np.float64]]
Indices = np.ndarray[tuple[int], np.dtype[np.intp]]


@dataclass(frozen=True)
class Style:
    """`scores`: arm to one figure a question, on a scale where 0 is the mean of other writers and 1 that of the writer; with `writer` and
    `other writers` themselves. Empty when `withheld` says why. `auc`: of the writer's held-out windows against other writers'."""

    scores: dict[str, Scores] = field(default_factory=dict)
    auc: float | None = None
    withheld: str = ""
    separation: dict[str, float] = field(default_factory=dict)
    """AUC of the writer's held-out answers against each kind of text that is not the writer's."""


@dataclass(frozen=True)
class _Group:
    """Where the windows of a group of texts stand among all windows, and which text each belongs to."""

    start: int
    owners: Indices
    texts: Sequence[str]

    @property
    def rows(self) -> slice:
        return slice(self.start, self.start + len(self.owners))


def style(
    training: Sequence[str],
    others: Sequence[str],
    writer: Sequence[str],
    base: Sequence[str],
    arms: Mapping[str, Sequence[str]],
    twins: Sequence[str] = (),
) -> Style:
    """Score each arm's answers to the questions that `writer` answers in the same order.

    `training` are the writer's other answers; `base` the untrained model's answers to the same questions, or empty; `twins` plain
    rewrites of training answers, or empty.
    """
    if min(len(writer), len(training)) < MIN_TEXTS:
        counts = f"{len(writer)} held-out answers and {len(training)} training answers"
        return Style(withheld=f"there are {counts}, and it needs {MIN_TEXTS} of each")
    length = window_length([*training, *writer])
    foreign_windows = sum(len(windows(text, length)) for text in others)
    if foreign_windows < MIN_OTHER_WINDOWS:
        return Style(
            withheld=f"there are {foreign_windows} passages of {length} characters by other writers, and it needs {MIN_OTHER_WINDOWS}:"
            " name more of their texts under `contrast` in the writer file"
        )
    likeness = _cross_fitted(training, {OTHERS: others, TWINS: twins}, base, {WRITER: writer, **arms}, length)
    apart = separation({name: by_text for name, (_, by_text) in likeness.items()})
    apart |= {OTHERS: separation({name: likeness[name][0] for name in (WRITER, OTHERS)})[OTHERS]}  # windows: all are equally long
    if unclear := unseparated(apart):
        return Style({}, apart[OTHERS], f"the classifier {unclear}", apart)
    return Style(scaled({name: by_text for name, (_, by_text) in likeness.items()}, list(apart)), apart[OTHERS], "", apart)


def separation(found: Mapping[str, Scores]) -> dict[str, float]:
    """AUC of the writer's held-out answers against other writers, and against plain rewrites where there are any."""
    own, kinds = found[WRITER], [name for name in (OTHERS, TWINS) if len(found.get(name, ()))]
    labels = {name: [1] * len(own) + [0] * len(found[name]) for name in kinds}
    return {name: float(roc_auc_score(labels[name], np.concatenate([own, found[name]]))) for name in kinds}


def unseparated(apart: Mapping[str, float]) -> str:
    """What a view cannot tell the writer from, in words; empty when it can."""
    unclear = [f"{name} (AUC {auc:.2f}, needs {MIN_AUC})" for name, auc in apart.items() if auc < MIN_AUC]
    return f"cannot tell the writer's held-out answers from {' or '.join(unclear)}" if unclear else ""


def scaled(found: Mapping[str, Scores], strangers: Sequence[str]) -> dict[str, Scores]:
    """Every figure on the scale: 1 is the writer's mean, 0 that of the strangers who are nearest. NaN, of a text without words, is 0."""
    floor = max(float(np.nanmean(found[name])) for name in strangers)
    ceiling = float(np.nanmean(found[WRITER]))
    return {name: np.nan_to_num((values - floor) / (ceiling - floor)) for name, values in found.items()}


def window_length(texts: Sequence[str]) -> int:
    """Characters of a window: all but the shortest of the writer's answers have as many."""
    least, most = WINDOW_CHARACTERS
    return int(np.clip(np.quantile([len(text) for text in texts], SHORT_ANSWERS), least, most))


def windows(text: str, length: int) -> list[str]:
    """Up to eight passages of `length` characters, evenly over the text; a shorter text is one passage."""
    count = min(WINDOWS_OF_A_TEXT, max(1, len(text) // length))
    starts = np.linspace(0, max(0, len(text) - length), count).astype(int)
    return [text[start : start + length] for start in starts]


def _cross_fitted(
    training: Sequence[str],
    strangers: Mapping[str, Sequence[str]],
    base: Sequence[str],
    groups: Mapping[str, Sequence[str]],
    length: int,
) -> dict[str, tuple[Scores, Scores]]:
    """For each group and the strangers: the probability of being the writer's, by window and as means by text."""
    foreign = {name: _thinned(texts) for name, texts in strangers.items() if texts}
    learned = {"training": _thinned(training), **foreign, BASE_LEARNED: base}
    cut, passages = _cut({**learned, **groups}, length)
    table = features().fit_transform(passages)
    likeness = {name: np.zeros(len(group.owners)) for name, group in cut.items()}
    own, negatives = cut["training"], [cut[name] for name in (*foreign, BASE_LEARNED)]
    for fold in range(FOLDS):
        kept = np.concatenate([group.start + np.flatnonzero(group.owners % FOLDS != fold) for group in negatives])
        rows = np.concatenate([np.arange(len(passages))[own.rows], kept])
        classifier = _classifier().fit(table[rows], np.arange(len(rows)) < len(own.owners))
        for name in (*groups, *foreign):
            scored = np.flatnonzero(cut[name].owners % FOLDS == fold)
            if len(scored):
                likeness[name][scored] = classifier.predict_proba(table[cut[name].start + scored])[:, 1]
    return {name: (likeness[name], _by_text(cut[name], likeness[name])) for name in (*groups, *foreign)}


def _cut(groups: Mapping[str, Sequence[str]], length: int) -> tuple[dict[str, _Group], list[str]]:
    """All windows of all groups one after the other."""
    cut, passages = dict[str, _Group](), list[str]()
    for name, texts in groups.items():
        pieces = [windows(text, length) for text in texts]
        owners = np.repeat(np.arange(len(texts)), [len(of_text) for of_text in pieces])
        cut[name] = _Group(len(passages), owners, texts)
        passages += [piece for of_text in pieces for piece in of_text]
    return cut, passages


def _by_text(group: _Group, likeness: Scores) -> Scores:
    """Means over the windows of each text; 0 for a text without letters."""
    counts = np.bincount(group.owners, minlength=len(group.texts))
    sums = np.bincount(group.owners, weights=likeness, minlength=len(group.texts))
    return np.where([bool(text.strip()) for text in group.texts], sums / np.maximum(counts, 1), 0.0)


def _thinned(texts: Sequence[str]) -> Sequence[str]:
    """So many texts, evenly, that their windows are not more than what is learned."""
    most = MOST_WINDOWS // WINDOWS_OF_A_TEXT
    return texts if len(texts) <= most else [texts[int(place)] for place in np.linspace(0, len(texts) - 1, most)]


def _classifier() -> Any:
    return LogisticRegression(class_weight="balanced", C=10.0, max_iter=1000, solver="liblinear")
