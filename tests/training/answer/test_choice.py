"""Sampled tokens follow the model's probabilities, and belong to their question and place."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.answer.test_decode import PROMPTS
from training.answer import decode as decode_module
from training.answer.choice import Choice
from training.answer.decode import decode
from training.answer.generate import _generate, answer_batch
from training.contract import GREEDY, Answering
from training.models.model import Base, load_base

CPU = torch.device("cpu")
FIRST = torch.zeros(1, dtype=torch.long)
LOGITS = torch.tensor([2.0, 1.5, 1.0, -1.0, -9.0])


@pytest.fixture(scope="module")
def base(models: Path) -> Base:
    return load_base("tiny-random-qwen2", None, "fp32", models, CPU)


def shares(answering: Answering, questions: int = 4000) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """How often each token of LOGITS is the first of the answers to so many questions."""
    choice = Choice(answering, [[number] for number in range(questions)], 1, len(LOGITS), CPU)
    tokens = choice.tokens(LOGITS.expand(questions, -1), slice(None), FIRST)
    return np.bincount(tokens.numpy(), minlength=len(LOGITS)) / questions


@pytest.mark.parametrize("temperature", [0.7, 1.0, 2.0])
def test_tokens_come_as_often_as_the_model_says(temperature: float) -> None:
    expected = torch.softmax(LOGITS / temperature, dim=0).numpy()
    assert shares(Answering(temperature=temperature, min_p=0)) == pytest.approx(expected, abs=0.025)


def test_unlikely_tokens_are_never_drawn_and_the_others_take_their_share() -> None:
    probabilities = torch.softmax(LOGITS / 0.7, dim=0).numpy()
    kept = np.where(probabilities >= 0.3 * probabilities.max(), probabilities, 0)
    found = shares(Answering(temperature=0.7, min_p=0.3))
    assert found[2:].max() == 0 < found[1]
    assert found == pytest.approx(kept / kept.sum(), abs=0.025)


def test_places_of_one_answer_and_seeds_have_luck_of_their_own() -> None:
    answering, even = Answering(temperature=1, min_p=0), torch.zeros(1, 50)
    places = [torch.tensor([place]) for place in range(200)]
    choices = [Choice(answering.model_copy(update={"seed": seed}), [[5]], 200, 50, CPU) for seed in (1, 1, 2)]
    drawn = [[int(choice.tokens(even, slice(None), place)) for place in places] for choice in choices]
    assert drawn[0] == drawn[1]
    assert np.mean(np.array(drawn[0]) == drawn[2]) < 0.1
    assert len(set(drawn[0])) > 40


def test_an_answer_is_the_same_alone_among_others_in_chunks_and_in_transformers_own_generation(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    answering = Answering(temperature=0.7, seed=3)
    together = decode(base.model, PROMPTS, 20, base.chat.end_id, answering)
    assert together != decode(base.model, PROMPTS, 20, base.chat.end_id)
    assert [decode(base.model, [prompt], 20, base.chat.end_id, answering)[0] for prompt in PROMPTS] == together
    assert _generate(base.model, base, PROMPTS, 20, answering) == together
    longer = decode(base.model, PROMPTS, 24, base.chat.end_id, answering)
    assert [row[:20] for row in longer] == together
    monkeypatch.setattr(decode_module, "PREFILL_TOKENS", 10)
    assert decode(base.model, PROMPTS, 20, base.chat.end_id, answering) == together


def test_temperature_0_is_greedy_whatever_the_rest(base: Base) -> None:
    limits = [8] * len(PROMPTS)
    cold = answer_batch(base.model, base, PROMPTS, limits, Answering(temperature=0, min_p=0.5, seed=9))
    assert cold == answer_batch(base.model, base, PROMPTS, limits, GREEDY)


def test_how_far_a_token_is_from_being_drawn() -> None:
    answering = Answering(temperature=0.7, min_p=0.3)
    choice = Choice(answering, [[7]], 1, len(LOGITS), CPU)
    scores = choice.scores(LOGITS[None].clone(), choice._offsets[:, 0])[0]
    drawn = int(choice.tokens(LOGITS[None], slice(None), FIRST))
    apart = [float(choice.gaps(LOGITS[None], torch.tensor([token]))) for token in range(len(LOGITS))]
    assert apart[drawn] == 0
    other = 1 - drawn  # of the two that min_p leaves
    lead, room = float(scores[drawn] - scores[other]), float(LOGITS[drawn] - 2.0 - 0.7 * np.log(0.3))
    assert apart[other] == pytest.approx(min(lead, room), rel=1e-5)
    assert apart[4] > 11 + 0.7 * np.log(0.3) - 0.001  # so far below what min_p allows
