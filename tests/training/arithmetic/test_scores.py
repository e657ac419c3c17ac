"""Marks: what counts as right, what is wrong first, and the bands of carries."""

from training.answer.generate import Answer
from training.arithmetic.chains import Mistake, Row, chain
from training.arithmetic.data import dataset_files
from training.arithmetic.scores import mark, score
from training.contract import MultiplicationData


def row(x: int, y: int) -> Row:
    return {
        "messages": [{"role": "user", "content": f"计算{x}*{y}"}, {"role": "assistant", "content": chain(x, y)}],
        "x": x,
        "y": y,
        "phrasing": 0,
    }


def answer(text: str, *, finished: bool = True) -> Answer:
    return Answer(text, list(range(len(text))), finished=finished)


def test_a_right_chain_is_right_in_every_character_and_ended() -> None:
    assert mark(row(12, 34), answer(chain(12, 34))).mistake is None
    not_ended = mark(row(12, 34), answer(chain(12, 34), finished=False))
    assert (not_ended.right, not_ended.mistake.kind if not_ended.mistake else None) == (True, "unfinished")


def test_a_free_answer_may_have_the_exact_product_and_no_right_chain() -> None:
    marked = mark(row(12, 34), answer("12 times 34 is 408."))
    assert marked.right
    assert marked.mistake == Mistake(1, "format", "开始计算 12 * 34:", "12 times 34 is 408.")


def test_the_score_counts_first_errors_and_carries() -> None:
    right, wrong = chain(7, 8), chain(35, 35).replace("30 * 30 = 900", "30 * 30 = 600")
    marked = [mark(row(7, 8), answer(right)), mark(row(35, 35), answer(wrong)), mark(row(12, 34), answer("408"))]
    result = score(marked)
    assert (result.questions, result.product, result.chain) == (3, 1.0, 1 / 3)
    assert result.first_errors == {"partial product": 1, "format": 1}
    assert result.by_carries == {"0": (1, 1.0), "1-2": (2, 0.0)}


def test_the_bands_hold_every_question() -> None:
    rows = dataset_files(MultiplicationData(samples=1, digits=6, pairs=40, reworded_pairs=0, beyond_pairs=0))["heldout.jsonl"]
    bands = score([mark(one, answer("")) for one in rows]).by_carries
    assert sum(count for count, _ in bands.values()) == 40
    assert list(bands)[-1] == "10+"
