"""A task with known answers: multiply two integers by writing down every step, so that each line of an answer can be checked.

The chain's lines are those of the article this project reproduces. Partial products are added one after the other; both
addends are padded with zeros to the wider one, position 0 is the units, a carry left over becomes the first digit of the result.

`python -m training.arithmetic` makes the data, trains, examines, and prints the article's table beside the figures reached.
"""

import hashlib
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, get_args

from training.errors import QuestionError

Pair = tuple[int, int]
Row = dict[str, Any]

MOST_DIGITS = 9
"""Longer numbers are refused: their chains have tens of thousands of characters."""
MOST_PAIRS = 200_000
"""More pairs at once are refused; far fewer are enough to learn from."""
SALT, ONE_IN = "multiplication-held-out", 5

PHRASINGS = (
    "计算{x}*{y}",
    "请问 {x} 乘以 {y} 等于多少?",
    "What is {x} times {y}?",
    "{x} × {y} = ?",
    "Calculate {x} * {y}.",
    "帮我算一下{x}乘{y}",
    "Multiply {x} by {y} step by step.",
    "求 {x} 与 {y} 的积。",
    "Please work out {x} x {y}",
    "{x}*{y}是多少",
    "Find the product of {x} and {y}.",
    "一步一步地算出 {x} × {y}",
    "我想知道{x}和{y}相乘的结果,请写出过程",
    "Could you compute {x} multiplied by {y} for me?",
)
"""Ways to ask. The first is the article's; the last `NEVER_TRAINED` are only ever examined."""
NEVER_TRAINED = 2
TRAINABLE: int = len(PHRASINGS) - NEVER_TRAINED

Kind = Literal["copied digit", "partial product", "carry", "sum", "format", "unfinished"]
"""What is wrong first in a chain. `format` is a line of another shape, or one too many; `unfinished` is a chain that stops early."""
KINDS: tuple[Kind, ...] = get_args(Kind)

_RESULT = "所以,最终结果是"
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?!\d)", re.ASCII)
_LONGEST = 4 * MOST_DIGITS
"""Characters of a number, at most, in an answer that is read as a product; a looping model writes longer ones."""
_PRODUCT_LINE = re.compile(r"(\d+) \* (\d+) = (\d+)")
_POSITION_LINE = re.compile(r"第(\d+)位,(\d+) \+ (\d+) \+ 之前的进位 (\d+) = (\d+)(?:;有进位(\d+),保留(\d+))?")
_PRODUCT_KINDS: tuple[Kind, ...] = ("copied digit", "copied digit", "partial product")
_POSITION_KINDS: tuple[Kind, ...] = ("copied digit", "copied digit", "copied digit", "carry", "sum", "carry", "sum")


@dataclass(frozen=True)
class Mistake:
    """The first wrong line of a chain: its number (from 1), what is wrong in it, what should stand there and what does."""

    line: int
    kind: Kind
    expected: str
    found: str


def question(x: int, y: int, phrasing: int = 0) -> str:
    """How the product of `x` and `y` is asked for. Raises QuestionError."""
    if type(phrasing) is not int or not 0 <= phrasing < len(PHRASINGS):
        raise QuestionError(f"There is no phrasing {phrasing!r}; there are 0 to {len(PHRASINGS) - 1}.")
    return PHRASINGS[phrasing].format(x=_checked(x), y=_checked(y))


def chain(x: int, y: int) -> str:
    """The worked chain that ends in the product of `x` and `y`. Raises QuestionError for numbers that are not positive, or huge."""
    first, second = _parts(_checked(x)), _parts(_checked(y))
    products = [(a, b) for a in first for b in second]
    lines = [f"开始计算 {x} * {y}:", f"把 ({x}, {y}) 拆成:"]
    lines += [f"{number} = {' + '.join(map(str, parts))}" for number, parts in ((x, first), (y, second))]
    lines += ["分别计算乘积:", *(f"{a} * {b} = {a * b}" for a, b in products), "开始相加乘积:"]
    total = products[0][0] * products[0][1]
    for a, b in products[1:]:
        lines += _addition(total, a * b)
        total += a * b
    return "\n".join([*lines, f"{_RESULT}{total}"])


def count_carries(x: int, y: int) -> int:
    """In how many positions of the chain's additions a carry arises."""
    return chain(x, y).count("有进位")


def read_product(text: str) -> int | None:
    """The product an answer ends in: the chain's last line, or the last whole number of a free answer; None without one."""
    _, marker, after = text.rpartition(_RESULT)
    if marker:
        found = _NUMBER.match(after.lstrip())
        return _whole(found[0]) if found else None
    numbers = [] if "开始相加乘积" in text else _NUMBER.findall(text)
    return _whole(numbers[-1]) if numbers else None


def check(text: str, x: int, y: int) -> Mistake | None:
    """The first wrong line of `text` as the chain of `x` and `y`, or None if it is right in every character."""
    expected, found = chain(x, y).split("\n"), text.split("\n")
    for number, line in enumerate(expected, 1):
        given = found[number - 1] if number <= len(found) else ""
        if given != line:
            cut = number >= len(found) and line.startswith(given)
            return Mistake(number, "unfinished" if cut else _kind(line, given, expected[number - 2]), line, given)
    return Mistake(len(expected) + 1, "format", "", found[len(expected)]) if len(found) > len(expected) else None


def generate(n: int, digits: int, seed: int, phrasings: int = TRAINABLE) -> list[Row]:
    """`n` training rows of numbers up to `digits` digits, asked in the first `phrasings` ways in turn. Raises QuestionError."""
    if type(phrasings) is not int or not 1 <= phrasings <= TRAINABLE:
        raise QuestionError(f"{phrasings!r} phrasings cannot be trained on; choose 1 to {TRAINABLE}.")
    pairs = _draw(n, digits, f"{seed} training", lambda x, y: not is_held_out(x, y))
    rounds = [divmod(index, len(pairs)) for index in range(n)]
    return [as_row(*pairs[place], (place + again) % phrasings) for again, place in rounds]


def unseen(n: int, digits: int, seed: int) -> list[Pair]:
    """`n` held-out pairs, or all there are if they are fewer. Raises QuestionError."""
    return _draw(n, digits, f"{seed} unseen", is_held_out)


def beyond(n: int, digits: int, seed: int) -> list[Pair]:
    """`n` held-out pairs of numbers with one digit more than `digits`. Raises QuestionError."""
    return _draw(n, digits + 1, f"{seed} beyond", lambda x, y: min(x, y) >= 10**digits and is_held_out(x, y))


def is_held_out(x: int, y: int) -> bool:
    """Whether a pair is only ever examined: one in five are, whichever number comes first."""
    digest = hashlib.sha256(f"{SALT} {min(x, y)} {max(x, y)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % ONE_IN == 0


def as_row(x: int, y: int, phrasing: int) -> Row:
    """A row of a dataset: the question and its chain as messages, and what they are about."""
    messages = [{"role": "user", "content": question(x, y, phrasing)}, {"role": "assistant", "content": chain(x, y)}]
    return {"messages": messages, "x": x, "y": y, "phrasing": phrasing}


def _draw(n: int, digits: int, seed: str, keep: Callable[[int, int], bool]) -> list[Pair]:
    """`n` different pairs that `keep` lets pass, or all there are if they are fewer."""
    for name, amount, most in (("pairs", n, MOST_PAIRS), ("digits", digits, MOST_DIGITS)):
        if type(amount) is not int or not 1 <= amount <= most:
            raise QuestionError(f"{_shown(amount)} {name} cannot be made; choose 1 to {most}.")
    generator, largest = random.Random(seed), 10**digits - 1
    if n > largest**2 // 20:  # a good share of all pairs: drawing until enough have passed might not end
        pairs = [(x, y) for x, y in product(range(1, largest + 1), repeat=2) if keep(x, y)]
        return generator.sample(pairs, min(n, len(pairs)))
    found: dict[Pair, None] = {}
    while len(found) < n:
        pair = generator.randint(1, largest), generator.randint(1, largest)
        if keep(*pair):
            found[pair] = None
    return list(found)


def _checked(number: int) -> int:
    if type(number) is not int or number < 1:
        raise QuestionError(f"{_shown(number)} is not a positive whole number. The chains multiply whole numbers from 1 upwards.")
    if number >= 10**MOST_DIGITS:
        raise QuestionError(f"{_shown(number)} is too large. Numbers may have {MOST_DIGITS} digits at most.")
    return number


def _shown(value: object) -> str:
    """A refused value; of a long one, the beginning. Python writes no whole number of more than some thousand digits."""
    if type(value) is int and value.bit_length() > 1_000:
        return "A number of hundreds of digits"
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _whole(number: str) -> int | None:
    """The value of a number as it is written in an answer; None for a negative one, one with a fraction, or one without an end."""
    whole, _, fraction = number.replace(",", "").partition(".")
    return None if whole.startswith("-") or fraction.strip("0") or len(whole) > _LONGEST else int(whole)


def _parts(number: int) -> list[int]:
    """874 as [800, 70, 4]; zero digits give nothing."""
    digits = str(number)
    return [int(digit) * 10 ** (len(digits) - 1 - index) for index, digit in enumerate(digits) if digit != "0"]


def _addition(first: int, second: int) -> list[str]:
    width = max(len(str(first)), len(str(second)))
    a, b = str(first).zfill(width), str(second).zfill(width)
    lines, carry = [f"计算 {a} + {b}:"], 0
    for position in range(width):
        left, right = int(a[-1 - position]), int(b[-1 - position])
        total = left + right + carry
        line = f"第{position}位,{left} + {right} + 之前的进位 {carry} = {total}"
        carry = total // 10
        lines.append(line + (f";有进位{carry},保留{total % 10}" if carry else ""))
    return [*lines, f"得到结果 = {first + second}"]


def _kind(expected: str, found: str, before: str) -> Kind:
    """What differs first between a line and the one that should stand there, after the (right) line `before`."""
    for pattern, kinds in ((_PRODUCT_LINE, _PRODUCT_KINDS), (_POSITION_LINE, _POSITION_KINDS)):
        right, given = pattern.fullmatch(expected), pattern.fullmatch(found)
        if right and given:
            return next(kind for kind, a, b in zip(kinds, right.groups(), given.groups(), strict=True) if a != b)
    without_carry = expected.replace("= 1", "= ", 1)
    if "有进位" in before and found in (without_carry, re.sub("= 0+", "= ", without_carry)):
        return "carry"
    same_shape = re.sub(r"\d+", "0", expected) == re.sub(r"\d+", "0", found)
    return "copied digit" if same_shape else "format"
