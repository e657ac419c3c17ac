"""Marks for multiplications: exact products, whole chains, what goes wrong first, and by how many carries."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from training.answer.generate import Answer
from training.arithmetic.chains import Mistake, check, count_carries, read_product
from training.contract import SetScore

CARRIES = ((0, 0), (1, 2), (3, 5), (6, 9), (10, 10_000))
"""Bands of the number of carries in a chain's additions, both ends included."""


@dataclass(frozen=True)
class Marked:
    """One answer, marked: `mistake` is None for a chain that is right in every character and ended by the model itself."""

    question: str
    x: int
    y: int
    text: str
    product: int | None
    mistake: Mistake | None

    @property
    def right(self) -> bool:
        """Whether the product is exact."""
        return self.product == self.x * self.y


def mark(row: Mapping[str, Any], answer: Answer) -> Marked:
    """Mark the answer to one row of a set."""
    x, y = row["x"], row["y"]
    mistake = check(answer.text, x, y)
    if mistake is None and not answer.finished:
        mistake = Mistake(answer.text.count("\n") + 2, "unfinished", "", "")
    return Marked(row["messages"][0]["content"], x, y, answer.text, read_product(answer.text), mistake)


def score(marked: Sequence[Marked]) -> SetScore:
    """The figures of one set."""
    mistakes = Counter(one.mistake.kind for one in marked if one.mistake)
    return SetScore(
        questions=len(marked),
        product=_share([one.right for one in marked]),
        chain=_share([one.mistake is None for one in marked]),
        first_errors=dict(mistakes.most_common()),
        by_carries=_by_carries(marked),
    )


def _by_carries(marked: Sequence[Marked]) -> dict[str, tuple[int, float]]:
    found: dict[str, tuple[int, float]] = {}
    counts = [count_carries(one.x, one.y) for one in marked]
    for least, most in CARRIES:
        band = [one.mistake is None for one, count in zip(marked, counts, strict=True) if least <= count <= most]
        if band:
            found[_name(least, most)] = (len(band), _share(band))
    return found


def _name(least: int, most: int) -> str:
    if least == most:
        return str(least)
    return f"{least}+" if (least, most) == CARRIES[-1] else f"{least}-{most}"


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags)
