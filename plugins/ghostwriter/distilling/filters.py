"""Which of the teacher's answers become training data. Each filter is a function of one answer; the first that objects names the reason.

Near duplicates are judged by `dataset`, which sees all answers; everything here needs one answer and its prompt only.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from statistics import quantiles

from ghostwriter.distilling.phrases import is_meta, is_refusal
from ghostwriter.tokens import KANA, cjk_share, ngrams, words
from ghostwriter.words.catalogue import Language

REASONS = (
    "empty",
    "cut_off",
    "refusal",
    "meta",
    "wrong_language",
    "too_short",
    "too_long",
    "copy",
    "repetition",
    "near_duplicate",
    "heldout_leak",
)
"""Every reason there is, in the order they are tried."""

FINISHED = frozenset({"stop", "eos", "end_turn", "unknown"})
COPY_RUN = {"en": 6, "zh": 10}
"""Words (Chinese characters) in a row that count as copied."""
COPY_SHARE = 0.25
REPEATED_SHARE = 0.3
"""Most 4-grams of an answer that may have been there before."""
SHORTEST, LONGEST = 0.4, 2.5
"""Of the writer's 5th and 95th percentile of length."""
COMMON_ENGLISH = frozenset(
    words("the a an of to and in is it you that for on with as be are not or was this but have if at by from your i he she they we")
)

_LABEL = re.compile(r"^\W*([\w .]{1,40}['’]s )?answer ?:\s*|^\W*(.{1,20}的)?回答[：:]\s*", re.IGNORECASE)
_THINKING = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_NOT_LATIN = re.compile(r"[^\W\d_\u0000-\u024f]")
_KANA = re.compile(f"[{KANA}]")


@dataclass(frozen=True)
class Lengths:
    """The shortest and the longest answer allowed, in words (Chinese characters)."""

    shortest: int
    longest: int

    @classmethod
    def of(cls, answers: Sequence[str]) -> "Lengths":
        """From the writer's own answers: a little beyond their 5th and 95th percentile."""
        cuts = quantiles((len(words(answer)) for answer in answers), n=20, method="inclusive")
        return cls(shortest=max(1, int(cuts[0] * SHORTEST)), longest=int(cuts[-1] * LONGEST) + 1)


@dataclass(frozen=True)
class Candidate:
    """An answer and what it is judged by: why it ended, the question, and the answers its prompt showed."""

    text: str
    finish_reason: str
    question: str
    shown: tuple[str, ...]

    @cached_property
    def words(self) -> list[str]:
        """The answer's words (Chinese characters)."""
        return words(self.text)


@dataclass(frozen=True)
class Judge:
    """Applies every filter for one writer."""

    language: Language
    lengths: Lengths

    def reason(self, candidate: Candidate) -> str | None:
        """Why the answer is rejected; None when it may stay."""
        return next((name for name, objects in self._filters() if objects(candidate)), None)

    def _filters(self) -> tuple[tuple[str, Callable[[Candidate], bool]], ...]:
        return (
            ("empty", lambda it: not it.words),
            ("cut_off", lambda it: it.finish_reason not in FINISHED),
            ("refusal", lambda it: is_refusal(it.text)),
            ("meta", lambda it: is_meta(it.text)),
            ("wrong_language", lambda it: not is_language(it.text, it.words, self.language)),
            ("too_short", lambda it: len(it.words) < self.lengths.shortest),
            ("too_long", lambda it: len(it.words) > self.lengths.longest),
            ("copy", lambda it: copied_share(it.words, (*it.shown, it.question), COPY_RUN[self.language]) > COPY_SHARE),
            ("repetition", lambda it: repeated_share(it.words) > REPEATED_SHARE),
        )


def clean_answer(text: str) -> str:
    """The answer without the thinking some models put before it, and without the prompt's label repeated."""
    return _LABEL.sub("", _THINKING.sub("", text).strip()).strip()


def is_language(text: str, found: Sequence[str], language: Language) -> bool:
    """Chinese: most words are Chinese characters and none are kana. English: Latin letters, with English's common words among them."""
    if language == "zh":
        return cjk_share(found) > 0.5 and not _KANA.search(text)
    foreign = len(_NOT_LATIN.findall(text)) / max(1, sum(map(len, found)))
    common = sum(1 for word in found if word in COMMON_ENGLISH) / max(1, len(found))
    return foreign < 0.1 and (common > 0.12 or len(found) < 12)


def copied_share(found: Sequence[str], sources: Sequence[str], run: int) -> float:
    """Share of the text's runs of `run` words that stand in one of the sources, too."""
    own = ngrams(found, run)
    shown = frozenset[tuple[str, ...]]().union(*(_runs(source, run) for source in sources))
    return sum(1 for gram in own if gram in shown) / len(own) if own else 0.0


@lru_cache(maxsize=512)
def _runs(text: str, run: int) -> frozenset[tuple[str, ...]]:
    """Kept for a while: each example stands in many prompts."""
    return frozenset(ngrams(words(text), run))


def repeated_share(found: Sequence[str]) -> float:
    """Share of 4-grams that have been there before in the same text."""
    own = ngrams(found, 4)
    return 1 - len(set(own)) / len(own) if own else 0.0
