# ruff: noqa: E501 (one pattern a line)
"""Find and mask other people's numbers in text: phones, e-mail addresses, Chinese ID numbers, WeChat and QQ ids.

How well it does on a seeded set of rows is measured by tests/ghostwriter/collecting/test_personal_data.py.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

_DIGITS = "0-9０-９"
WIDE = str.maketrans("０１２３４５６７８９＋－（）　", "0123456789+-() ")
_D = f"[{_DIGITS}]"
_BEFORE = rf"(?<![{_DIGITS}A-Za-z_./=@%#-])"
_AFTER = rf"(?![{_DIGITS}A-Za-z_@]|[-./:][{_DIGITS}])"
_WORD = "A-Za-z0-9_"
_IS = r"[ \t]{0,2}(?:id|ID|Id|account|号码?|账号)?[ \t]{0,2}(?:[:：是为=➕+(（→]|is\b|->){0,3}[ \t]{0,2}"
_WECHAT = rf"(?:微信|薇信|威信|徽信|微❤|(?<![{_WORD}])(?:[vV]信|[vV][xX]|[wW][xX]|[wW]e[cC]hat|WECHAT|[wW]eixin)(?![A-Za-z]))"
_ASKING = r"(?:加个?我?的?|我的?|私人|请加|联系|咨询|添加|扫码或加)"
_NO_ID = r"(?![Pp]ay(?![A-Za-z0-9])|(?:[Ii][Pp]hone|[Aa]ndroid|[Ww]indows|[Mm]ac[Oo][Ss]|[Ll]inux|mini|work)(?![A-Za-z]))"


@dataclass(frozen=True)
class Masked:
    """Text with placeholders, and how many of each kind."""

    text: str
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Rule:
    """What one kind of personal data looks like: the group `id` (or the whole match) is replaced where `valid` agrees."""

    kind: str
    pattern: re.Pattern[str]
    valid: Callable[[str], bool]


def mask(text: str) -> Masked:
    """`text` with personal data replaced by `[phone]`, `[email]`, `[id number]`, `[wechat]` and `[qq]`."""
    counts: Counter[str] = Counter()
    for rule in RULES:
        text = _apply(rule, text, counts)
    return Masked(text, counts)


def is_id_number(text: str) -> bool:
    """Whether 18 characters are built like a Chinese ID number: region, a real birth date, serial, check (not computed: people mistype)."""
    digits = re.sub(r"\D", "", text.translate(WIDE)[:-1]) + text[-1]
    return bool(re.fullmatch(r"[1-8]\d{5}(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])\d{3}.", digits))


def is_phone(text: str) -> bool:
    """Whether digits and separators have a phone number's length, and not the look of years or of a run of one digit."""
    digits = re.sub(r"\D", "", text.translate(WIDE))
    return 7 <= len(digits) <= 15 and len(set(digits)) > 2 and not re.fullmatch(r"(19|20)\d\d\D*(19|20)\d\d", text.strip())


def _apply(rule: Rule, text: str, counts: Counter[str]) -> str:
    def replace(found: re.Match[str]) -> str:
        group = "id" if "id" in rule.pattern.groupindex else 0
        if not rule.valid(found[group]):
            return found[0]
        counts[rule.kind.replace(" ", "_")] += 1
        start, end = found.start(group) - found.start(), found.end(group) - found.start()
        return f"{found[0][:start]}[{rule.kind}]{found[0][end:]}"

    return rule.pattern.sub(replace, text)


def _rule(kind: str, pattern: str, valid: Callable[[str], bool] = bool, flags: int = 0) -> Rule:
    return Rule(kind, re.compile(pattern, flags), valid)


_MAILBOX = r"(?<![A-Za-z0-9_.+%-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}"
_ANY_CASE = re.IGNORECASE
RULES = (
    _rule("email", rf"{_MAILBOX}[ ]?[@＠][ ]?(?:[A-Za-z0-9-]{{1,63}}\.){{1,4}}[A-Za-z]{{2,12}}(?![A-Za-z0-9])"),
    _rule("email", rf"{_MAILBOX} ?(?:\(at\)|\[at\]|\(@\)|（at）| at ) ?[A-Za-z0-9-]{{1,63}} ?(?:\.|\(dot\)|\[dot\]| dot ) ?(?:com|cn|net|org|edu|io|me)(?![A-Za-z0-9])", flags=_ANY_CASE),
    _rule("email", r"(?:邮箱|邮件|e-?mail)[^A-Za-z0-9\n]{0,4}(?P<id>[A-Za-z0-9][A-Za-z0-9._-]{2,40}#[A-Za-z0-9-]{2,30}\.(?:com|cn|net|org))", flags=_ANY_CASE),
    _rule("id number", rf"{_BEFORE}{_D}{{6}}[ -]?{_D}{{8}}[ -]?{_D}{{3}}[{_DIGITS}XxＸ](?![{_DIGITS}A-Za-z_])", is_id_number),
    _rule("id number", rf"身份证(?:号码?)?[ \t]{{0,2}}[:：是为]?[ \t]{{0,2}}(?P<id>{_D}{{15}}|{_D}{{17}}[{_DIGITS}XxＸ])(?!{_D})"),
    _rule("qq", rf"(?:(?<![{_WORD}])QQ|(?<![{_WORD}])qq|扣扣|企鹅号|秋秋|(?<![{_WORD}])[Qq](?=[:：]))(?:号码?|群号?)?{_IS}(?P<id>[1-9１-９]{_D}{{4,11}})(?![{_DIGITS}%年月日元个人万亿])"),
    _rule("wechat", rf"{_WECHAT}(?:同号)?{_IS}{_NO_ID}(?P<id>(?=[A-Za-z_-]*[0-9_-])[A-Za-z0-9][A-Za-z0-9_-]{{5,19}})(?![A-Za-z0-9_-])"),
    _rule("wechat", rf"{_WECHAT}(?:[ ]?(?:id|ID|号码?))?[ ]{{0,2}}[:：=][ ]{{0,2}}{_NO_ID}(?P<id>[A-Za-z][A-Za-z0-9_-]{{5,19}})(?![A-Za-z0-9_-])"),
    _rule("wechat", rf"{_ASKING}{_WECHAT}(?:号码?)?[ ]{{0,2}}{_NO_ID}(?P<id>[A-Za-z][A-Za-z0-9_-]{{5,19}})(?![A-Za-z0-9_-])"),
    _rule("phone", rf"{_BEFORE}(?:[+＋]?(?:00)?86[ -]?|[(（][+＋]?86[)）][ ]?)?[1１][3-9３-９]{_D}(?:[ -]?{_D}{{4}}){{2}}{_AFTER}", is_phone),
    _rule("phone", rf"(?<![{_DIGITS}A-Za-z] )(?<![{_DIGITS}A-Za-z])1 [3-9](?: {_D}){{9}}(?![ ]?[{_DIGITS}])", is_phone),
    _rule("phone", rf"{_BEFORE}[1１][3-9３-９]{_D}{{2}}[ -]{_D}{{3}}[ -]{_D}{{4}}{_AFTER}", is_phone),
    _rule("phone", rf"{_BEFORE}[(（]?0{_D}{{2,3}}[)）]?[ -]?{_D}{{3,4}}[ -]?{_D}{{4}}(?:[ ]?(?:转|ext\.?)[ ]?{_D}{{1,5}})?{_AFTER}", is_phone),
    _rule("phone", rf"{_BEFORE}[48]00[ -]?{_D}{{3,4}}[ -]{_D}{{3,4}}{_AFTER}", is_phone),
    _rule("phone", rf"(?<![{_WORD}+＋.])[+＋]{_D}{{1,3}}(?:[ .-]?[(（]?{_D}{{1,4}}[)）]?){{2,5}}{_AFTER}", is_phone),
    _rule("phone", rf"(?<![{_DIGITS}A-Za-z_./=@%#-])(?:\({_D}{{3}}\)[ ]?|{_D}{{3}}[-.]){_D}{{3}}[-. ]{_D}{{4}}{_AFTER}", is_phone),
    _rule("phone", rf"(?:电话|手机|座机|热线|致电|拨打|\btel\b|phone|call me (?:at|on)|whatsapp)(?:号码?)?[ ]{{0,2}}(?:[:：.是为]|number|is|no\.?| ){{0,4}}(?P<id>{_D}(?:[ .-]?{_D}){{6,11}})(?![{_DIGITS}年月日元个人万亿次])", is_phone, _ANY_CASE),
)  # fmt: skip
"""Applied in this order: what carries more context first."""
