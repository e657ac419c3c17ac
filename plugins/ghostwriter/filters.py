"""Which of the teacher's answers become training data. Each filter is a function of one answer; the first that objects names the reason.

Near duplicates are judged by `dataset`, which sees all answers; everything here needs one answer and its prompt only.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import quantiles

from ghostwriter.tokens import KANA, cjk_share, ngrams, words
from ghostwriter.writer import Language

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
COMMON_ENGLISH = frozenset("the a an of to and in is it you that for on with as be are not or was this but have if at by from your i he she they we".split())

_THINKING = re.compile(r"<think>.*?(</think>|\Z)", re.DOTALL)
_REFUSAL = re.compile(
    r"\bas an? (ai|artificial intelligence|(large )?language model)\b|\bi(?:'|’)?m (just )?an? (ai|language model|virtual assistant)\b|\bi am an? (ai|language model)\b"
    r"|\bi(?:'|’)?m sorry,? but i\b|\bi (?:cannot|can(?:'|’)t|am unable to|(?:'|’)m unable to) (?:help|assist|answer|provide|fulfil|comply|create|write)"
    r"|作为(一个|一款|一名)?(ai|人工智能|语言模型|大模型|大型语言模型)|我(只)?是(一个|一款|一名)?(ai|人工智能|语言模型|大模型|智能助手)"
    r"|(抱歉|对不起)[，,。 ]?我?(无法|不能|没法)|我(无法|不能)(回答|提供|协助|满足)",
    re.IGNORECASE,
)
_META = re.compile(
    r"^\W*(sure|certainly|of course|absolutely)[,!. ]+(here|below|i)\b|^\W*here(?:'|’)?s? (is |are )?(a|an|the|my) (\w+ )?(answer|response|reply|version)\b"
    r"|\bin the (same )?(style|voice) of\b|\bthe (above|previous|given) (examples?|answers?|questions?)\b"
    r"|^\W*(question|answer|q|a|example)( ?\d+)? ?:|\n\W*(question|example)( ?\d+)? ?:|<\|\w+\|>|\[/?inst\]"
    r"|^\W*(好的|当然)[，,！!。]?(以下|下面|这是)|^\W*(以下|下面)是.{0,20}(回答|答案)|模仿.{0,12}(口吻|风格|语气)|(的|以上|上面)(示例|例子)中|^\W*(问题|回答|答)[：:]|\n(问题|回答)[：:]",
    re.IGNORECASE,
)
_LETTER = re.compile(r"[^\W\d_]")
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
            ("empty", lambda it: not words(it.text)),
            ("cut_off", lambda it: it.finish_reason not in FINISHED),
            ("refusal", lambda it: bool(_REFUSAL.search(it.text))),
            ("meta", lambda it: bool(_META.search(it.text))),
            ("wrong_language", lambda it: not is_language(it.text, self.language)),
            ("too_short", lambda it: len(words(it.text)) < self.lengths.shortest),
            ("too_long", lambda it: len(words(it.text)) > self.lengths.longest),
            ("copy", lambda it: copied_share(it.text, (*it.shown, it.question), COPY_RUN[self.language]) > COPY_SHARE),
            ("repetition", lambda it: repeated_share(it.text) > REPEATED_SHARE),
        )


def without_thinking(text: str) -> str:
    """The answer without the thinking some models put before it."""
    return _THINKING.sub("", text).strip()


def is_language(text: str, language: Language) -> bool:
    """Chinese: most words are Chinese characters and none are kana. English: Latin letters, with English's common words among them."""
    if language == "zh":
        return cjk_share(text) > 0.5 and not _KANA.search(text)
    found = words(text)
    letters = _LETTER.findall(text)
    latin = sum(1 for letter in letters if letter < "\u0250") / max(1, len(letters))
    common = sum(1 for word in found if word in COMMON_ENGLISH) / max(1, len(found))
    return latin > 0.9 and (common > 0.12 or len(found) < 12)


def copied_share(text: str, sources: Sequence[str], run: int) -> float:
    """Share of the text's runs of `run` words that stand in one of the sources, too."""
    own = ngrams(words(text), run)
    shown = {gram for source in sources for gram in ngrams(words(source), run)}
    return sum(1 for gram in own if gram in shown) / len(own) if own else 0.0


def repeated_share(text: str) -> float:
    """Share of 4-grams that have been there before in the same text."""
    own = ngrams(words(text), 4)
    return 1 - len(set(own)) / len(own) if own else 0.0
