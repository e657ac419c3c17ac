"""What a recipe needs of a card, and the words when a card has less."""

import pytest
from transformers import Qwen2Config, Qwen2ForCausalLM

from training.contract import load_recipe
from training.errors import OutOfMemory
from training.fit.memory import GIB, Shape, check_card, estimate
from training.gpu_check.model import SHAPES

QWEN_7B = Shape.of(Qwen2Config(**SHAPES["7b"], tie_word_embeddings=False))


def test_the_counts_are_those_of_the_model_and_of_its_adapter() -> None:
    small = Qwen2Config(
        vocab_size=99, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2
    )
    matrices = sum(parameter.numel() for parameter in Qwen2ForCausalLM(small).parameters() if parameter.ndim == 2)
    assert Shape.of(small).weights == matrices
    assert QWEN_7B.adapter(256) == 645_922_816  # 2 bytes each are the adapter of 1.29 GB


@pytest.mark.parametrize(
    ("recipe", "card"),
    [("qwen2.5-7b-style", 78), ("qwen2.5-7b-style-48gb", 44), ("qwen2.5-7b-style-24gb", 22), ("qwen2.5-7b-arithmetic", 78)],
)
def test_each_recipe_fits_the_card_it_is_for(recipe: str, card: int) -> None:
    """`card` in GiB: what a card of that name has at least, less what a screen takes of it."""
    assert check_card(load_recipe(recipe), QWEN_7B, card * GIB).startswith("About ")
    assert estimate(load_recipe(recipe), QWEN_7B).total <= card * GIB


def test_a_recipe_too_large_for_the_card_is_told_what_to_change() -> None:
    said = check_card(load_recipe("qwen2.5-7b-style"), QWEN_7B, 44 * GIB)
    assert "of the card's 44.0 GiB will be needed: base 14.2 GiB, adapter and optimizer 12.0 GiB, passes" in said
    assert "Set micro_batch = 1 in the recipe (about" in said


def test_a_recipe_of_which_not_one_row_fits_is_refused_with_the_rank_that_would() -> None:
    with pytest.raises(
        OutOfMemory, match=r"rank = 256 needs about .* this card has 22\.0 GiB .* Set rank = 64, recompute = 1.0, micro_batch = 1"
    ):
        check_card(load_recipe("qwen2.5-7b-style"), QWEN_7B, 22 * GIB)
    with pytest.raises(OutOfMemory, match="choose a smaller base, or a larger card"):
        check_card(load_recipe("qwen2.5-7b-style"), QWEN_7B, 12 * GIB)
