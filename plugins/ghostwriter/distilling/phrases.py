"""How assistants give themselves away: refusals, and talk about the prompt instead of an answer. English and Chinese.

Each pattern stands beside words of which one is in whatever it matches: looking for a word is fast, and few answers have one.
"""

import re
from collections.abc import Mapping

REFUSALS = {
    r"\bas an? (ai|artificial intelligence|(large )?language model)\b": ("as a ai", "as an ai", "as an artificial", "language model"),
    r"\bi(['’]m| am) (just )?an? (ai|language model|virtual assistant)\b": ("a ai", "an ai", "language model", "virtual assistant"),
    r"\bi['’]m sorry,? but i\b": ("sorry",),
    r"\bi (cannot|can['’]t|am unable to) (help|assist|answer|provide|fulfil|comply|create|write)": ("i can", "i am unable"),
    r"\bi['’]m unable to (help|assist|answer|provide|fulfil|comply|create|write)": ("m unable to",),
    r"作为(一个|一款|一名)?(ai|人工智能|语言模型|大模型|大型语言模型)": ("作为",),
    r"我(只)?是(一个|一款|一名)?(ai|人工智能|语言模型|大模型|智能助手)": ("我是", "我只是"),
    r"(抱歉|对不起)[，,。 ]?我?(无法|不能|没法)": ("抱歉", "对不起"),
    r"我(无法|不能)(回答|提供|协助|满足)": ("我无法", "我不能"),
}
META = {
    r"\A\W*(sure|certainly|of course|absolutely)[,!. ]+(here|below|i)\b": ("sure", "certainly", "of course", "absolutely"),
    r"\A\W*here['’]?s? (is |are )?(a|an|the|my) (\w+ )?(answer|response|reply|version)\b": ("here",),
    r"\bin the (same )?(style|voice) of\b": ("style of", "voice of"),
    r"\b(imitat|mimic|emulat|captur)\w* ([\w'’]+ ){0,4}(style|voice|tone)\b": ("imitat", "mimic", "emulat", "captur"),
    r"\bthis (answer|response|reply) (is|was) (written|meant|intended)\b": ("this answer", "this response", "this reply"),
    r"\A\W*(answer|response|reply)\b[^\n.!?]{0,60}:\W*\n": ("answer", "response", "reply"),
    r"\bthe (above|previous|given) (examples?|answers?|questions?)\b": ("the above", "the previous", "the given"),
    r"\A\W*(question|answer|q|a|example)( ?\d+)? ?:": (":",),
    r"\n\W*(question|example)( ?\d+)? ?:": ("question", "example"),
    r"<\|\w+\|>": ("<|",),
    r"\[/?inst\]": ("inst]",),
    r"\A\W*(好的|当然)[，,！!。]?(以下|下面|这是)": ("以下", "下面", "这是"),
    r"\A\W*(以下|下面)是.{0,20}(回答|答案)": ("以下是", "下面是"),
    r"模仿.{0,12}(口吻|风格|语气)": ("模仿",),
    r"(的|以上|上面)(示例|例子)中": ("示例中", "例子中"),
    r"(^|\n)\W*(问题|回答|答)[：:]": ("题：", "题:", "答：", "答:"),
}
Compiled = tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]


def is_refusal(text: str) -> bool:
    """Whether the text refuses, or speaks as an assistant."""
    return _has(text, _REFUSALS)


def is_meta(text: str) -> bool:
    """Whether the text speaks about its task, or goes on with the prompt's own headings."""
    return _has(text, _META)


def _compile(patterns: Mapping[str, tuple[str, ...]]) -> Compiled:
    return tuple((re.compile(pattern), wanted) for pattern, wanted in patterns.items())


def _has(text: str, patterns: Compiled) -> bool:
    low = text.lower()
    return any(any(word in low for word in wanted) and pattern.search(low) for pattern, wanted in patterns)


_REFUSALS, _META = _compile(REFUSALS), _compile(META)
