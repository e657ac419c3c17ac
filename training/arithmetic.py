"""A task with known answers: multiply two integers by writing down every step, so that each line of an answer can be checked.

The chain's lines are those of the article this project reproduces. Partial products are added one after the other; both
addends are padded with zeros to the wider one, position 0 is the units, a carry left over becomes the first digit of the result.

`python -m training.arithmetic` makes the data, trains, examines, and prints the article's table beside the figures reached.
"""

import re
import sys
from dataclasses import dataclass
from typing import Literal, get_args

from training.errors import QuestionError

MOST_DIGITS = 9
"""Longer numbers are refused: their chains have tens of thousands of characters."""

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
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
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
    if not 0 <= phrasing < len(PHRASINGS):
        raise QuestionError(f"There is no phrasing {phrasing}; there are 0 to {len(PHRASINGS) - 1}.")
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
    before, marker, after = text.rpartition(_RESULT)
    if marker:
        found = re.match(r"\s*(\d+)", after)
        return int(found[1]) if found else None
    numbers = [] if "开始相加乘积" in text else _NUMBER.findall(before or after)
    whole, _, fraction = numbers[-1].replace(",", "").partition(".") if numbers else ("", "", "")
    return int(whole) if whole and not fraction.strip("0") else None


def check(text: str, x: int, y: int) -> Mistake | None:
    """The first wrong line of `text` as the chain of `x` and `y`, or None if it is right in every character."""
    expected, found = chain(x, y).split("\n"), text.split("\n")
    for number, line in enumerate(expected, 1):
        given = found[number - 1] if number <= len(found) else ""
        if given != line:
            cut = number >= len(found) and line.startswith(given)
            return Mistake(number, "unfinished" if cut else _kind(line, given), line, given)
    return Mistake(len(expected) + 1, "format", "", found[len(expected)]) if len(found) > len(expected) else None


def _checked(number: int) -> int:
    if number < 1:
        raise QuestionError(f"{number} is not a positive whole number. The chains multiply numbers from 1 upwards.")
    if number >= 10**MOST_DIGITS:
        raise QuestionError(f"{str(number)[:12]}... has {len(str(number))} digits. Numbers may have {MOST_DIGITS} digits at most.")
    return number


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


def _kind(expected: str, found: str) -> Kind:
    """What differs first between a line and the one that should stand there."""
    for pattern, kinds in ((_PRODUCT_LINE, _PRODUCT_KINDS), (_POSITION_LINE, _POSITION_KINDS)):
        right, given = pattern.fullmatch(expected), pattern.fullmatch(found)
        if right and given:
            return next(kind for kind, a, b in zip(kinds, right.groups(), given.groups(), strict=True) if a != b)
    same_shape = re.sub(r"\d+", "0", expected) == re.sub(r"\d+", "0", found)
    return "copied digit" if same_shape else "format"


if __name__ == "__main__":
    from training.arithmetic_run import main

    sys.exit(main())
