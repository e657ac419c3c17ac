"""Will a recipe fit the card? An estimate from the shape of the model, and advice in words when it does not.

What packed training keeps (training.fit.fused), counted tensor by tensor; measured beside it in training/LOG.md.
"""

from dataclasses import dataclass
from typing import Any

from training.contract import Recipe
from training.errors import OutOfMemory

GIB = 2**30
BYTES = 2
"""Of a bf16 value."""
OPTIMIZER_BYTES = 20
"""Per adapter value: bf16 weight and gradient bucket, float32 master, sum of gradients, two of AdamW's."""
LOGITS_BYTES = 4 * 2**28
"""Of one slice of logits and its gradient (training.fit.loss)."""
CONTEXT_BYTES = GIB * 6 // 10
"""What CUDA itself takes of a card, before the first tensor."""


@dataclass(frozen=True)
class Shape:
    """What decides the memory of a model of Llama's or Qwen2's kind."""

    layers: int
    hidden: int
    intermediate: int
    attention: int
    """Values of all query heads of a token."""
    key_value: int
    """Values of all key heads of a token."""
    vocabulary: int
    tied: bool

    @classmethod
    def of(cls, config: Any) -> "Shape":
        """From a transformers configuration."""
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(
            layers=config.num_hidden_layers,
            hidden=config.hidden_size,
            intermediate=config.intermediate_size,
            attention=config.num_attention_heads * size,
            key_value=config.num_key_value_heads * size,
            vocabulary=config.vocab_size,
            tied=bool(config.tie_word_embeddings),
        )

    @property
    def weights(self) -> int:
        """Frozen values."""
        linear = self.hidden * (2 * self.attention + 2 * self.key_value + 3 * self.intermediate)
        return self.layers * linear + self.vocabulary * self.hidden * (1 if self.tied else 2)

    def adapter(self, rank: int) -> int:
        """Values of an adapter on all linear layers."""
        attention = 4 * self.hidden + 2 * self.attention + 2 * self.key_value
        return self.layers * rank * (attention + 3 * (self.hidden + self.intermediate))

    def kept_by_layer(self, rank: int) -> int:
        """Values that a layer keeps for its backward pass, per token."""
        return 4 * self.hidden + 2 * self.attention + 2 * self.key_value + 3 * self.intermediate + 7 * rank


@dataclass(frozen=True)
class Estimate:
    """Bytes of the card: frozen weights, adapter and optimizer, one forward and backward pass."""

    weights: int
    optimizer: int
    passes: int

    @property
    def total(self) -> int:
        return self.weights + self.optimizer + self.passes + CONTEXT_BYTES


def estimate(recipe: Recipe, shape: Shape) -> Estimate:
    """Memory of the largest pass of packed training in bf16."""
    tokens = recipe.micro_batch * recipe.max_length
    recomputed = round(recipe.recompute * shape.layers)
    kept = (shape.layers - recomputed) * shape.kept_by_layer(recipe.rank) + recomputed * shape.hidden
    at_work = 3 * shape.intermediate + 2 * shape.hidden
    if recomputed:
        at_work += shape.kept_by_layer(recipe.rank)
    passes = tokens * BYTES * (kept + at_work) + LOGITS_BYTES
    return Estimate(shape.weights * BYTES, shape.adapter(recipe.rank) * OPTIMIZER_BYTES, passes)


def check_card(recipe: Recipe, shape: Shape, card: int) -> str:
    """What to say about a recipe on a card of so many bytes. Raises OutOfMemory when not even one row fits."""
    needed = estimate(recipe, shape)
    least = estimate(recipe.model_copy(update={"micro_batch": 1}), shape)
    if least.total > card:
        raise OutOfMemory(
            f"{recipe.base} with rank = {recipe.rank} needs about {_gib(least.total)} with one row per pass, and"
            f" this card has {_gib(card)} ({_parts(least)}). {_advice(recipe, shape, card)}"
        )
    words = f"About {_gib(needed.total)} of the card's {_gib(card)} will be needed: {_parts(needed)}."
    return words if needed.total <= card else f"{words} {_advice(recipe, shape, card)} Otherwise micro_batch is halved until it fits."


def _advice(recipe: Recipe, shape: Shape, card: int) -> str:
    """The first change that makes the recipe fit, the cheapest first."""
    sizes = [size for size in (2, 1) if size <= recipe.micro_batch]
    changes: list[dict[str, float]] = [{"micro_batch": size} for size in _halves(recipe.micro_batch)]
    changes += [{"micro_batch": size, "recompute": share} for share in (0.5, 1.0) for size in sizes]
    changes += [{"rank": rank, "recompute": 1.0, "micro_batch": 1} for rank in _halves(recipe.rank)]
    for change in changes:
        needed = estimate(recipe.model_copy(update=change), shape).total
        if needed <= card:
            settings = ", ".join(f"{name} = {value}" for name, value in change.items())
            return f"Set {settings} in the recipe (about {_gib(needed)})."
    return "No setting of the recipe makes it fit: choose a smaller base, or a larger card."


def _halves(value: int) -> list[int]:
    return [value >> shift for shift in range(1, value.bit_length())]


def _parts(parts: Estimate) -> str:
    named = {"base": parts.weights, "adapter and optimizer": parts.optimizer, "passes": parts.passes}
    return ", ".join(f"{name} {_gib(size)}" for name, size in named.items())


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
