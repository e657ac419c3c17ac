"""Words, n-grams and token counts of English and Chinese text, without any model's tokenizer."""

import re
from collections.abc import Sequence

CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
KANA = "\u3040-\u30ff"
_WORD = re.compile(rf"[{CJK}{KANA}]|[^\W_{CJK}{KANA}]+(?:['’][^\W_{CJK}{KANA}]+)*")
_CJK = re.compile(f"[{CJK}{KANA}]")
_ASCII = re.compile(r"[\x00-\x7f]+")
_WIDE_MARK = re.compile("[\u3000-\u303f\uff00-\uffef“”‘’…—]")
LATIN_CHARACTERS_A_TOKEN = 4.2
CJK_TOKENS_A_CHARACTER = 0.7
"""Both are typical of byte-level BPE with 100,000 or more entries, where a full-width mark is a token of its own.
The ledger's own history replaces them after the first calls."""


def words(text: str) -> list[str]:
    """Lower-case words; each Chinese character is a word of its own. Punctuation is left out."""
    return _WORD.findall(text.casefold())


def ngrams(tokens: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All runs of `n` tokens, in order; none when there are fewer."""
    return list(zip(*(tokens[start:] for start in range(n)), strict=False))


def cjk_share(found: Sequence[str]) -> float:
    """Share of Chinese (or Japanese) characters among words; 0 for none."""
    return sum(1 for word in found if _CJK.match(word)) / len(found) if found else 0.0


def estimate_tokens(text: str) -> float:
    """About how many tokens a teacher will count in `text`."""
    wide = _ASCII.sub("", text)
    cjk, marks = len(_CJK.findall(wide)), len(_WIDE_MARK.findall(wide))
    return cjk * CJK_TOKENS_A_CHARACTER + marks + (len(text) - cjk - marks) / LATIN_CHARACTERS_A_TOKEN
