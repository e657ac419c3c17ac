"""The task itself: the article's chain to the character, right products, and which line is wrong first."""

import random
from collections import Counter

import pytest

from training.arithmetic.chains import MOST_DIGITS, PHRASINGS, Kind, Mistake, chain, check, count_carries, generate, question, read_product
from training.errors import QuestionError

ARTICLE = """开始计算 874 * 265:
把 (874, 265) 拆成:
874 = 800 + 70 + 4
265 = 200 + 60 + 5
分别计算乘积:
800 * 200 = 160000
800 * 60 = 48000
800 * 5 = 4000
70 * 200 = 14000
70 * 60 = 4200
70 * 5 = 350
4 * 200 = 800
4 * 60 = 240
4 * 5 = 20
开始相加乘积:
计算 160000 + 048000:
第0位,0 + 0 + 之前的进位 0 = 0
第1位,0 + 0 + 之前的进位 0 = 0
第2位,0 + 0 + 之前的进位 0 = 0
第3位,0 + 8 + 之前的进位 0 = 8
第4位,6 + 4 + 之前的进位 0 = 10;有进位1,保留0
第5位,1 + 0 + 之前的进位 1 = 2
得到结果 = 208000
计算 208000 + 004000:
"""
ZEROS = """开始计算 100 * 205:
把 (100, 205) 拆成:
100 = 100
205 = 200 + 5
分别计算乘积:
100 * 200 = 20000
100 * 5 = 500
开始相加乘积:
计算 20000 + 00500:
第0位,0 + 0 + 之前的进位 0 = 0
第1位,0 + 0 + 之前的进位 0 = 0
第2位,0 + 5 + 之前的进位 0 = 5
第3位,0 + 0 + 之前的进位 0 = 0
第4位,2 + 0 + 之前的进位 0 = 2
得到结果 = 20500
所以,最终结果是20500"""


def random_pairs(count: int, digits: int) -> list[tuple[int, int]]:
    """Pairs whose factors have 1 to `digits` digits, each width as often as another."""
    generator = random.Random(5)
    return [tuple(generator.randrange(10 ** generator.randint(1, digits) - 1) + 1 for _ in range(2)) for _ in range(count)]  # type: ignore[misc]


def test_the_chain_is_the_articles_to_the_character() -> None:
    assert chain(874, 265).startswith(ARTICLE)
    assert chain(874, 265).endswith("得到结果 = 231610\n所以,最终结果是231610")


def test_a_zero_digit_gives_no_partial_product() -> None:
    assert chain(100, 205) == ZEROS


def test_one_digit_needs_no_addition() -> None:
    assert chain(7, 8).splitlines()[4:] == ["分别计算乘积:", "7 * 8 = 56", "开始相加乘积:", "所以,最终结果是56"]


def test_a_carry_out_of_the_widest_position_becomes_the_first_digit() -> None:
    assert "计算 900 + 150:\n第0位,0 + 0 + 之前的进位 0 = 0\n第1位,0 + 5 + 之前的进位 0 = 5\n第2位,9 + 1 + 之前的进位 0 = 10" in chain(
        35, 35
    )
    assert "有进位1,保留0\n得到结果 = 1050\n" in chain(35, 35)


def test_ten_thousand_chains_end_in_the_product_and_every_line_of_theirs_is_true() -> None:
    for x, y in random_pairs(10_000, 6):
        text = chain(x, y)
        assert read_product(text) == x * y
        assert text.rsplit("\n", 1)[1] == f"所以,最终结果是{x * y}"
        assert check(text, x, y) is None
        products = [line.split(" = ") for line in text.split("\n") if line[0].isdigit() and " * " in line]
        assert sum(int(result) for _, result in products) == x * y
        assert all(int(a) * int(b) == int(result) for factors, result in products for a, b in [factors.split(" * ")])


@pytest.mark.parametrize(("x", "y", "carries"), [(7, 8, 0), (100, 205, 0), (35, 35, 2), (874, 265, 5), (999, 999, 6)])
def test_carries_are_those_of_the_chains_additions(x: int, y: int, carries: int) -> None:
    assert count_carries(x, y) == carries


@pytest.mark.parametrize(
    ("line", "old", "new", "kind"),
    [
        (1, "874", "879", "copied digit"),
        (3, "800", "900", "copied digit"),
        (6, "160000", "170000", "partial product"),
        (7, "800 *", "300 *", "copied digit"),
        (16, "048000", "040000", "copied digit"),
        (20, "0 + 8", "0 + 9", "copied digit"),
        (20, "进位 0", "进位 1", "carry"),
        (20, "= 8", "= 9", "sum"),
        (21, "有进位1", "有进位2", "carry"),
        (21, "保留0", "保留1", "sum"),
        (21, ";有进位1,保留0", "", "carry"),
        (23, "208000", "308000", "copied digit"),
        (23, "208000", "08000", "copied digit"),
        (15, "开始相加乘积:", "开始相加", "format"),
        (3, " + 4", "", "format"),
    ],
)
def test_the_first_wrong_line_and_what_is_wrong_in_it(line: int, old: str, new: str, kind: Kind) -> None:
    lines = chain(874, 265).split("\n")
    right = lines[line - 1]
    lines[line - 1] = right.replace(old, new, 1)
    lines[-1] = "所以,最终结果是1"  # later mistakes do not count
    assert check("\n".join(lines), 874, 265) == Mistake(line, kind, right, lines[line - 1])


@pytest.mark.parametrize("result", ["得到结果 = 50", "得到结果 = 050"])
def test_a_last_carry_that_is_no_digit_of_the_result_is_a_carry_dropped(result: str) -> None:
    text = chain(35, 35)
    found = check(text.replace("得到结果 = 1050", result), 35, 35)
    assert found == Mistake(text.split("\n").index("得到结果 = 1050") + 1, "carry", "得到结果 = 1050", result)


def kind_at(line: str, column: int) -> Kind:
    """What the digit at a place of a right line is, read off the text before it."""
    before = line[:column].rstrip("0123456789")
    if before.endswith(("有进位", "之前的进位 ")):
        return "carry"
    if before.endswith("保留") or (before.endswith("= ") and line.startswith("第")):
        return "sum"
    return "partial product" if before.endswith("= ") and " * " in line else "copied digit"


def test_any_digit_changed_anywhere_is_found_in_its_line_with_its_kind() -> None:
    found: Counter[str] = Counter()
    generator = random.Random(2)
    for x, y in [(874, 265), (35, 35), (7, 8), (100, 205), (999, 999), *random_pairs(20, 4)]:
        text = chain(x, y)
        for place in [place for place, character in enumerate(text) if character.isdigit()]:
            other = generator.choice([digit for digit in "0123456789" if digit != text[place]])
            number = text.count("\n", 0, place)
            line, column = text.split("\n")[number], place - text.rfind("\n", 0, place) - 1
            mistake = check(text[:place] + other + text[place + 1 :], x, y)
            assert mistake is not None
            assert (mistake.line, mistake.kind, mistake.expected) == (number + 1, kind_at(line, column), line)
            found[mistake.kind] += 1
    assert min(found[kind] for kind in ("copied digit", "partial product", "carry", "sum")) > 100


def test_a_chain_that_stops_early_is_unfinished_and_one_that_goes_on_has_a_line_too_many() -> None:
    text = chain(12, 34)
    cut = check(text[: text.index("第1位") + 4], 12, 34)
    assert (cut.line, cut.kind, cut.found) == (13, "unfinished", "第1位,") if cut else False
    assert check("\n".join(text.split("\n")[:5]), 12, 34) == Mistake(6, "unfinished", "10 * 30 = 300", "")
    assert check(f"{text}\n408", 12, 34) == Mistake(len(text.split("\n")) + 1, "format", "", "408")
    assert check("", 12, 34) == Mistake(1, "unfinished", "开始计算 12 * 34:", "")


@pytest.mark.parametrize(
    ("text", "product"),
    [
        ("所以,最终结果是231610", 231610),
        ("所以,最终结果是 56\n所以,最终结果是57", 57),
        ("874 * 265 = 231,610.", 231610),
        ("The product of 7 and 8 is 56.0", 56),
        ("about 56.5", None),
        ("I cannot do that.", None),
        ("", None),
        ("7 * 8 = 56\n开始相加乘积:", None),
        ("所以,最终结果是", None),
        ("所以,最终结果是 231,610。", 231610),
        ("所以,最终结果是56.5", None),
        ("factors 7,8,56", 56),
        ("It is -56", None),
        ("7" * 5_000, None),  # Python reads no number of more than 4,300 digits
        (f"所以,最终结果是{'7' * 5_000}", None),
    ],
)
def test_the_product_is_read_from_the_last_line_or_a_free_answer(text: str, product: int | None) -> None:
    assert read_product(text) == product


def test_there_are_phrasings_in_both_languages_and_each_names_both_numbers() -> None:
    assert question(874, 265) == "计算874*265"
    assert len({question(12, 34, number) for number in range(len(PHRASINGS))}) == 14
    assert all("12" in question(12, 34, number).split("34")[0] for number in range(len(PHRASINGS)))
    assert sum(text.isascii() for text in PHRASINGS) >= 5


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: chain(0, 5), "^0 is not a positive whole number"),
        (lambda: chain(5, -3), "^-3 is not a positive whole number"),
        (lambda: chain(True, 5), "^True is not a positive whole number"),
        (lambda: chain(7.0, 5), "^7.0 is not a positive whole number"),  # type: ignore[arg-type]
        (lambda: chain("7", 5), "^'7' is not a positive whole number"),  # type: ignore[arg-type]
        (lambda: check("", None, 5), "^None is not a positive whole number"),  # type: ignore[arg-type]
        (lambda: question(10**MOST_DIGITS, 2), "^1000000000 is too large. Numbers may have 9 digits at most"),
        (lambda: check("", 10**100, 2), r"^10{39}\.\.\. is too large"),
        (lambda: chain(10**5_000, 2), "^A number of hundreds of digits is too large"),
        (lambda: chain(2, -(10**5_000)), "^A number of hundreds of digits is not a positive"),
        (lambda: question(1, 2, 14), "^There is no phrasing 14; there are 0 to 13"),
        (lambda: question(1, 2, -1), "no phrasing -1"),
        (lambda: question(1, 2, "zh"), "no phrasing 'zh'"),  # type: ignore[arg-type]
        (lambda: question(1, 2, True), "no phrasing True"),
        (lambda: generate(0, 3, 0), "^0 pairs cannot be made; choose 1 to 200000"),
        (lambda: generate(10**9, 3, 0), "^1000000000 pairs cannot be made"),
        (lambda: generate(5, 0, 0), "^0 digits cannot be made; choose 1 to 9"),
        (lambda: generate(5, 10, 0), "^10 digits cannot be made"),
        (lambda: generate(5, 2.0, 0), "^2.0 digits cannot be made"),  # type: ignore[arg-type]
        (lambda: generate(5, 3, 0, phrasings=13), "^13 phrasings cannot be trained on; choose 1 to 12"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_words(call: object, words: str) -> None:
    with pytest.raises(QuestionError, match=words):
        call()  # type: ignore[operator]
