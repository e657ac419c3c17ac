"""The probe compares token ids, as OpenAI's `logprobs` have them, and allows for a near tie alone."""

from typing import Any

from ghostwriter.serving.probe import same


def token(number: int, logprob: float = -0.1, shown: str = "", **others: float) -> dict[str, Any]:
    own = {"id": number, "logprob": logprob, "bytes": [number]}
    alternatives = [own, *({"id": int(name[1:]), "logprob": value, "bytes": [int(name[1:])]} for name, value in others.items())]
    return {**own, "bytes": [*shown.encode(), number], "top_logprobs": alternatives}


def test_the_proved_answer_is_the_same() -> None:
    assert same([token(1), token(2), token(3)], 3, [1, 2, 3], 0.01)


def test_an_engine_may_keep_the_end_token_to_itself() -> None:
    assert same([token(1), token(2)], 2, [1, 2, 3], 0.01)
    assert same([token(1), token(2)], 3, [1, 2, 3], 0.01)


def test_another_token_is_another_answer() -> None:
    assert not same([token(1), token(9, t2=-0.5), token(3)], 3, [1, 2, 3], 0.01)
    assert not same([token(1), token(3)], 3, [1, 2, 3], 0.01)


def test_a_near_tie_that_fell_otherwise_is_none_and_ends_the_comparison() -> None:
    assert same([token(1), token(9, -0.7, t2=-0.705), token(8)], 3, [1, 2, 3], 0.01)


def test_an_answer_that_breaks_off_is_another_one() -> None:
    assert not same([token(1)], 1, [1, 2, 3], 0.01)
    assert not same([], 0, [1, 2, 3], 0.01)


def test_parts_of_a_letter_are_shown_with_the_token_that_completes_it() -> None:
    assert same([token(1), token(4, shown="\x02\x03"), token(5)], 5, [1, 2, 3, 4, 5], 0.01)
    assert not same([token(1), token(4), token(5)], 5, [1, 2, 3, 4, 5], 0.01)


def test_ids_are_read_as_vllm_writes_them() -> None:
    assert same([{"token": "token_id:1", "logprob": 0, "top_logprobs": []}], 1, [1], 0.5)
