"""Masked texts say nothing of their topic, and the n-gram model is interpolated Kneser-Ney."""

import numpy as np
import pytest

from training.measure.grammar import DISCOUNT, ORDER, TOKENS, Grammar, Grams, ids_of, masked


def test_words_become_their_classes_and_small_words_and_marks_stay() -> None:
    assert masked("Well, my dear Penhallow said (in 1908) it’s fading.\n\nA boat!") == (
        ["well", ",", "my", "word", "Name", "word", "(", "in", "<number>", ")", "it's", "ing", ".", "<break>", "a", "word", "!"]
    )
    assert masked("首先，这个问题其实很简单。") == ["首先", "，", "这个", "字", "字", "其实", "很", "字", "字", "。"]
    assert masked("  \n ") == []


def test_probabilities_of_all_tokens_sum_to_one_after_seen_and_unseen_contexts() -> None:
    grammar = Grammar(Grams.of([ids_of("The lamp, dear, is lit."), ids_of("The sea is not, dear.")]).codes)
    size = len(TOKENS)
    contexts = [int(Grams.of([ids_of("The lamp")]).codes[1]) // size, size ** (ORDER - 2) * 7 + 3]
    for context in contexts:
        codes = context * size + np.arange(size)
        assert 10 ** grammar.log10(codes) == pytest.approx(10 ** grammar.log10(codes))
        assert float((10 ** grammar.log10(codes)).sum()) == pytest.approx(1.0)


def test_a_probability_worked_out_by_hand() -> None:
    """The text `a b` with its end: each context was seen once, with one token after it, at every order."""
    ids = ids_of("the a")
    codes = Grams.of([ids]).codes
    found = 1 / len(TOKENS)
    kinds = 3  # the, a, </s>: each stands after one kind of token
    found = (1 - DISCOUNT) / kinds + DISCOUNT * kinds / kinds * found
    for _ in range(ORDER - 1):
        found = (1 - DISCOUNT) + DISCOUNT * found
    assert 10 ** Grammar(codes).log10(codes) == pytest.approx([found] * 3)
