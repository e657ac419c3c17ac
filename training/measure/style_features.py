"""What authorship verification looks at in a text: character n-grams, function words, punctuation and shape, of equal weight.

These are the classic, mostly topic-free marks of an author (Stamatatos 2009, "A survey of modern authorship attribution methods";
Mosteller and Wallace 1964 for function words). English and Chinese.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer  # type: ignore[import-untyped]
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline  # type: ignore[import-untyped]
from sklearn.preprocessing import FunctionTransformer, Normalizer, StandardScaler  # type: ignore[import-untyped]

from training.measure.degeneration import units

_ENGLISH = (
    "the a an and or but so yet nor if then than that this these those there here it its he she they them we us you "
    "your i my me mine his her our their who whom which what when where why how of in on at by for from to with "
    "without into onto upon over under about after before between through during against is are was were be been "
    "being am do does did done have has had will would shall should can could may might must not no never ever "
    "always often very quite rather too also only just even still again once more most much many some any all each "
    "every both either neither such same own other another one as because since while until though although unless "
    "whether however therefore moreover please well oh don't it's i'm you're can't isn't that's there's"
)
ENGLISH = tuple(_ENGLISH.split())
_CHINESE = (
    "的 了 着 过 地 得 是 在 有 和 与 及 或 也 都 就 才 又 再 还 很 太 更 最 不 没 别 未 把 被 让 给 对 向 从 "
    "到 以 为 因 所 而 且 但 却 可 能 会 要 应 须 该 我 你 他 她 它 您 们 这 那 哪 谁 什么 怎么 一个 这个 那个 吗 "
    "呢 吧 啊 呀 嘛 啦 哦 罢 之 其 于 则 者 如果 因为 所以 但是 可是 然后 其实 首先 其次 最后 总之 并且 以及 进行 一下 "
    "多半"
)
CHINESE = tuple(_CHINESE.split())
MARKS = ",.;:!?-–—()[]\"'“”‘’…/*#~，。；：！？、（）《》「」～·"
SENTENCE = re.compile(r"[^.!?。！？…\n]+[.!?。！？…]*")
HASHED = 2**17
"""Places for n-grams."""

Table = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def features() -> FeatureUnion:
    """Texts to sparse vectors; each block has length 1. Counts are hashed: a table of all n-grams of Chinese text would fill memory."""
    counts = HashingVectorizer(
        analyzer="char", ngram_range=(2, 4), lowercase=False, n_features=HASHED, alternate_sign=False, norm=None, dtype=np.float32
    )
    characters = make_pipeline(counts, TfidfTransformer(sublinear_tf=True))
    return FeatureUnion([("characters", characters), ("function words", _block(function_words)), ("shape", _block(shape))])


def function_words(text: str) -> list[float]:
    """Occurrences of each function word, a word of the text (English) or a character (Chinese)."""
    words = Counter(units(text))
    total, characters = max(1, words.total()), max(1, len(text))
    return [words[word] / total for word in ENGLISH] + [text.count(word) / characters for word in CHINESE]


def shape(text: str) -> list[float]:
    """Punctuation marks a character, then lengths of words, sentences and paragraphs, each as logarithms."""
    sentences = [len(units(sentence)) for sentence in SENTENCE.findall(text)] or [0]
    paragraphs = [len(units(part)) for part in text.split("\n") if part.strip()] or [0]
    words = [len(word) for word in units(text)] or [0]
    lengths: list[Any] = [np.mean(sentences), np.std(sentences), min(sentences), max(sentences), np.mean(words)]
    lengths += [np.mean(paragraphs), paragraphs[0], paragraphs[-1]]
    return [text.count(mark) / max(1, len(text)) for mark in MARKS] + [float(np.log1p(length)) for length in lengths]


def _block(describe: object) -> Pipeline:
    return make_pipeline(FunctionTransformer(partial(_table, describe)), StandardScaler(), Normalizer())


def _table(describe: object, texts: Sequence[str]) -> Table:
    assert callable(describe)
    return np.array([describe(text) for text in texts])
