"""How assistants give themselves away: refusals, and talk about the prompt instead of an answer. English and Chinese."""

import re

REFUSALS = (
    r"\bas an? (ai|artificial intelligence|(large )?language model)\b",
    r"\bi(['’]m| am) (just )?an? (ai|language model|virtual assistant)\b",
    r"\bi['’]m sorry,? but i\b",
    r"\bi (cannot|can['’]t|am unable to) (help|assist|answer|provide|fulfil|comply|create|write)",
    r"\bi['’]m unable to (help|assist|answer|provide|fulfil|comply|create|write)",
    r"作为(一个|一款|一名)?(ai|人工智能|语言模型|大模型|大型语言模型)",
    r"我(只)?是(一个|一款|一名)?(ai|人工智能|语言模型|大模型|智能助手)",
    r"(抱歉|对不起)[，,。 ]?我?(无法|不能|没法)",
    r"我(无法|不能)(回答|提供|协助|满足)",
)
META = (
    r"^\W*(sure|certainly|of course|absolutely)[,!. ]+(here|below|i)\b",
    r"^\W*here['’]?s? (is |are )?(a|an|the|my) (\w+ )?(answer|response|reply|version)\b",
    r"\bin the (same )?(style|voice) of\b",
    r"\b(imitat|mimic|emulat|captur)\w* ([\w'’]+ ){0,4}(style|voice|tone)\b",
    r"\bthis (answer|response|reply) (is|was) (written|meant|intended)\b",
    r"^\W*(answer|response|reply)\b[^\n.!?]{0,60}:\W*\n",
    r"\bthe (above|previous|given) (examples?|answers?|questions?)\b",
    r"^\W*(question|answer|q|a|example)( ?\d+)? ?:",
    r"\n\W*(question|example)( ?\d+)? ?:",
    r"<\|\w+\|>",
    r"\[/?inst\]",
    r"^\W*(好的|当然)[，,！!。]?(以下|下面|这是)",
    r"^\W*(以下|下面)是.{0,20}(回答|答案)",
    r"模仿.{0,12}(口吻|风格|语气)",
    r"(的|以上|上面)(示例|例子)中",
    r"(^|\n)\W*(问题|回答|答)[：:]",
)
_REFUSAL = re.compile("|".join(REFUSALS), re.IGNORECASE)
_META = re.compile("|".join(META), re.IGNORECASE)


def is_refusal(text: str) -> bool:
    """Whether the text refuses, or speaks as an assistant."""
    return bool(_REFUSAL.search(text))


def is_meta(text: str) -> bool:
    """Whether the text speaks about its task, or goes on with the prompt's own headings."""
    return bool(_META.search(text))
