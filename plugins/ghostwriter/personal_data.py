"""Find and mask other people's numbers in text: phones, e-mail addresses, Chinese ID numbers, WeChat and QQ ids."""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

DIGIT = "0-9０-９"
NOT_BEFORE = rf"(?<![{DIGIT}A-Za-z_./=@%-])"
NOT_AFTER = rf"(?![{DIGIT}A-Za-z_@]|[-./][{DIGIT}])"
WIDE = str.maketrans("０１２３４５６７８９＋－（）　", "0123456789+-() ")
ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
"""GB 11643-1999, the weights of the check digit."""
ID_CHECKS = "10X98765432"


@dataclass(frozen=True)
class Masked:
    """Text with placeholders, and how many of each kind."""

    text: str
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Rule:
    """What one kind of personal data looks like; group `id` (or the whole match) is replaced if `valid` agrees."""

    kind: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool] = lambda _text: True


def mask(text: str) -> Masked:
    """`text` with personal data replaced by `[phone]`, `[email]`, `[id number]`, `[wechat]` and `[qq]`."""
    counts: Counter[str] = Counter()
    for rule in RULES:
        text = rule.pattern.sub(lambda found, rule=rule: _replace(found, rule, counts), text)
    return Masked(text, counts)


def is_id_number(text: str) -> bool:
    """Whether 18 characters are a Chinese ID number: a real birth date and the right check digit."""
    digits = text.translate(WIDE).upper().replace(" ", "")
    if not re.fullmatch(r"[1-8]\d{5}(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}[\dX]", digits):
        return False
    total = sum(weight * int(digit) for weight, digit in zip(ID_WEIGHTS, digits, strict=False))
    return ID_CHECKS[total % 11] == digits[-1]


def is_phone(text: str) -> bool:
    """Whether a run of digits and separators has a phone number's length and no date's or amount's look."""
    digits = re.sub(r"\D", "", text.translate(WIDE))
    return 7 <= len(digits) <= 15 and len(set(digits)) > 2 and not re.fullmatch(r"(19|20)\d\d\s*-\s*(19|20)\d\d", text.strip())


def _replace(found: re.Match[str], rule: Rule, counts: Counter[str]) -> str:
    whole, wanted = found[0], found.groupdict().get("id") or found[0]
    if not rule.valid(wanted):
        return whole
    counts[rule.kind.replace(" ", "_")] += 1
    return (
        whole.replace(wanted, f"[{rule.kind}]", 1)
        if wanted == whole
        else whole[: found.start("id") - found.start()] + f"[{rule.kind}]" + whole[found.end("id") - found.start() :]
    )


_SEP = r"[ \t\u00a0.·-]?"
_D = f"[{DIGIT}]"
_CONTACT_WECHAT = (
    r"(?:加|私|我的?|联系|咨询)?(?:微信号?码?|薇信|威信|徽信|微❤|v信|V信|vx|VX|Vx|wx|WX|Wx|wechat|WeChat|Wechat|weixin|微(?=[:：]))"
)
_IS = r"(?:\s*(?:id|ID|Id|account|号码?|账号))?\s*(?:[:：是为=➕+]|is\b|\(|（|->|→)*\s*"
RULES = (
    Rule("email", re.compile(r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}\s?[@＠]\s?(?:[A-Za-z0-9-]{1,63}\.){1,4}[A-Za-z]{2,12}(?![A-Za-z0-9])")),
    Rule("email", re.compile(r"(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63} ?(?:\(at\)|\[at\]|#|\(@\)| at ) ?[A-Za-z0-9-]{1,63} ?(?:\.|\(dot\)|\[dot\]| dot ) ?(?:com|cn|net|org|edu|io|me|co\.uk)\b", re.IGNORECASE)),
    Rule("id number", re.compile(rf"{NOT_BEFORE}{_D}{{6}} ?{_D}{{8}} ?{_D}{{3}}[{DIGIT}Xx]{NOT_AFTER}"), is_id_number),
    Rule("qq", re.compile(rf"(?:(?<![A-Za-z])QQ|(?<![A-Za-z])qq|扣扣|企鹅号?|秋秋|(?<![A-Za-z])[Qq](?=[:：]))(?:号码?|群号?|群)?{_IS}(?P<id>[1-9１-９]{_D}{{4,11}})(?!{_D})")),
    Rule("wechat", re.compile(rf"{_CONTACT_WECHAT}{_IS}(?P<id>(?![Pp]ay\b|[Aa]pp\b)(?=[A-Za-z_-]*[0-9_-])[A-Za-z0-9][A-Za-z0-9_-]{{5,19}})(?![A-Za-z0-9_-])")),
    Rule("wechat", re.compile(rf"{_CONTACT_WECHAT}(?:\s*(?:id|ID|号码?))?\s*[:：=]\s*(?P<id>[A-Za-z][A-Za-z0-9_-]{{5,19}})(?![A-Za-z0-9_-])")),
    Rule("phone", re.compile(rf"{NOT_BEFORE}(?:[+＋]?(?:86|００?８６|0086)[ -]?)?[1１][3-9３-９]{_D}(?:[ -]?{_D}{{4}}){{2}}{NOT_AFTER}"), is_phone),
    Rule("phone", re.compile(rf"{NOT_BEFORE}[(（]?0{_D}{{2,3}}[)）]?[ -]{_D}{{7,8}}(?:[ -]?(?:转|ext\.?) ?{_D}{{1,5}})?{NOT_AFTER}"), is_phone),
    Rule("phone", re.compile(rf"{NOT_BEFORE}[48]00[ -]{_D}{{3,4}}[ -]{_D}{{3,4}}{NOT_AFTER}"), is_phone),
    Rule("phone", re.compile(rf"(?<![\w+])[+＋]{_D}{{1,3}}(?:[ .-]?[(（]?{_D}{{1,4}}[)）]?){{2,5}}{NOT_AFTER}"), is_phone),
    Rule("phone", re.compile(rf"{NOT_BEFORE}(?:\({_D}{{3}}\) ?|{_D}{{3}}[-.]){_D}{{3}}[-. ]{_D}{{4}}{NOT_AFTER}"), is_phone),
    Rule("phone", re.compile(rf"(?:电话|手机号?码?|座机|热线|tel|phone|call me (?:at|on)|call|whatsapp)(?:号码?)?\s*(?:[:：是为]|number|is|no\.?)*\s*(?P<id>{_D}(?:{_SEP}{_D}){{6,11}})(?!{_D})", re.IGNORECASE), is_phone),
)  # fmt: skip
"""In the order they are applied: what carries more context first."""
