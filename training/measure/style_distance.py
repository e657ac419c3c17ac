"""The second view of style: how far a crowd of answers stands from the writer's, in the base model's own representation.

A text becomes the mean of the base's hidden states at half its depth (no adapter, no prompt), centred on the writer's training answers
and of length 1. The energy distance between two crowds (Szekely and Rizzo 2013) is 0 only when they are alike, so answers that are all
the same are far from the writer's even when each is near. Reported on a scale where 0 is no distance and 1 is the base's.
It shares nothing with training.style: neither features nor classifier.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from training.bootstrap import Measured, Numbers
from training.models.model import Base
from training.signals import Look, no_look

MIN_QUESTIONS = 5
MOST_TOKENS = 256
"""Of a text, at its beginning."""

Table = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def style_distance(training: Table, writer: Table, base: Table | None, arms: Mapping[str, Table]) -> tuple[dict[str, Measured], str]:
    """Arm to figure, `writer` among them; or nothing and the reason. Tables are (texts, size) of `embed`."""
    if base is None:
        return {}, "there is no arm 'base' to measure against"
    if len(writer) < MIN_QUESTIONS or len(training) < MIN_QUESTIONS:
        return {}, f"there are {len(writer)} held-out and {len(training)} training answers; it needs {MIN_QUESTIONS} of each"
    centre = training.mean(axis=0)
    reference = _directions(training, centre)
    far, near = (_energy(_directions(table, centre), reference) for table in (base, writer))
    unit, own = (float(one(np.ones((1, len(writer))))[0]) for one in (far, near))
    if unit <= 2 * max(own, 0.0):
        return {}, f"the base's answers stand no further from the writer's than the writer's own ({unit:.3f} and {own:.3f})"
    return {arm: Measured(_scaled(_energy(_directions(table, centre), reference), unit), len(table)) for arm, table in arms.items()}, ""


@torch.inference_mode()
def embed(base: Base, texts: Sequence[str], look: Look = no_look) -> Table:
    """The mean of the base's hidden states at half its depth, one row a text; an empty text is all 0. `look`, at each, may raise."""
    decoder = base.model.get_decoder()
    layers = decoder.layers
    decoder.layers = layers[: base.model.config.num_hidden_layers // 2]  # what lies above is not needed, and costs as much again
    try:
        return np.array([_embed_one(base, decoder, text, look) for text in texts])
    finally:
        decoder.layers = layers


def _embed_one(base: Base, decoder: Any, text: str, look: Look) -> Numbers:
    look()
    ids = base.tokenizer(text, add_special_tokens=False).input_ids[:MOST_TOKENS]
    if not ids:
        return np.zeros(base.model.config.hidden_size)
    hidden = decoder(input_ids=torch.tensor([ids], device=base.model.device), use_cache=False).last_hidden_state
    mean: Numbers = hidden[0].float().mean(dim=0).double().cpu().numpy()
    return mean


def _directions(table: Table, centre: Numbers) -> Table:
    moved = table - centre
    directions: Table = moved / np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
    return directions


def _energy(crowd: Table, reference: Table) -> Any:
    """The energy distance of the drawn texts of `crowd` to `reference`, without pairs of a text with itself."""
    towards = _distances(crowd, reference).mean(axis=1)
    inside = _distances(crowd, crowd)
    own = _distances(reference, reference)
    reference_inside = own.sum() / (len(own) * (len(own) - 1))

    def statistic(counts: Numbers) -> Numbers:
        total = counts.sum(axis=1)
        pairs = total**2 - (counts**2).sum(axis=1)
        apart = np.einsum("ri,ij,rj->r", counts, inside, counts, optimize=True)
        within = np.divide(apart, pairs, out=np.zeros_like(apart), where=pairs > 0)
        result: Numbers = 2 * (counts @ towards) / total - within - reference_inside
        return result

    return statistic


def _scaled(statistic: Any, unit: float) -> Any:
    return lambda counts: statistic(counts) / unit


def _distances(first: Table, second: Table) -> Table:
    squares = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1)[None] - 2 * first @ second.T
    distances: Table = np.sqrt(np.maximum(squares, 0.0))
    return distances
