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
BATCH = 16
"""Texts read in one pass: one at a time, 1,200 of them took 25 s on a GPU at Qwen2.5-7B's shape."""

Table = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def style_distance(training: Table, writer: Table, base: Table | None, arms: Mapping[str, Table]) -> tuple[dict[str, Measured], str]:
    """Arm to figure, `writer` among them; or nothing and the reason. Tables are (texts, size) of `embed`."""
    if base is None:
        return {}, "there is no arm 'base' to measure against"
    if len(writer) < MIN_QUESTIONS or len(training) < MIN_QUESTIONS:
        return {}, f"there are {len(writer)} held-out and {len(training)} training answers, and it needs {MIN_QUESTIONS} of each"
    centre = training.mean(axis=0)
    reference = _directions(training, centre)
    far, near = (_energy(_directions(table, centre), reference) for table in (base, writer))
    unit, own = (float(one(np.ones((1, len(writer))))[0]) for one in (far, near))
    if unit <= 2 * max(own, 0.0):
        return {}, f"the base's answers stand no further from the writer's than the writer's own ({unit:.3f} and {own:.3f})"
    return {arm: Measured(_scaled(_energy(_directions(table, centre), reference), unit), len(table)) for arm, table in arms.items()}, ""


@torch.inference_mode()
def embed(base: Base, texts: Sequence[str], look: Look = no_look) -> Table:
    """The mean of the base's hidden states at half its depth, one row a text; an empty text is all 0.

    Texts of like lengths are read together. `look`, before each pass, may raise.
    """
    decoder = base.model.get_decoder()
    layers = decoder.layers
    decoder.layers = layers[: base.model.config.num_hidden_layers // 2]  # what lies above is not needed, and costs as much again
    ids = [ids[:MOST_TOKENS] for ids in base.chat.encode(texts)]
    order = sorted((place for place, own in enumerate(ids) if own), key=lambda place: len(ids[place]))
    table = np.zeros((len(texts), base.model.config.hidden_size))
    try:
        for start in range(0, len(order), BATCH):
            look()
            chosen = order[start : start + BATCH]
            table[chosen] = _means(base, decoder, [ids[place] for place in chosen])
    finally:
        decoder.layers = layers
    return table


def _means(base: Base, decoder: Any, rows: Sequence[list[int]]) -> Table:
    """The mean hidden state of each row of token ids, which are padded on the right: nothing before the padding sees it."""
    device, width = base.model.device, max(map(len, rows))
    padded = [row + [base.tokenizer.pad_token_id] * (width - len(row)) for row in rows]
    hidden = decoder(input_ids=torch.tensor(padded, device=device), use_cache=False).last_hidden_state
    lengths = torch.tensor([len(row) for row in rows], device=device)
    own = torch.arange(width, device=device) < lengths[:, None]
    sums = (hidden.float() * own[:, :, None]).sum(dim=1)
    means: Table = (sums / lengths[:, None]).double().cpu().numpy()
    return means


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
