"""The next token: the likeliest, or one drawn at random, with luck that belongs to its question and place.

Drawing adds Gumbel noise to the logits and takes the largest sum, which is a draw from their softmax (Gumbel 1954; Maddison et al.
2014, "A* Sampling"). The noise of a place is a window of one table, at an offset that Philox (a counter-based generator: Salmon et
al. 2011) makes of the seed, the prompt's tokens and the place. So an answer is the same in any batch, alone, and after a resume, up
to near ties; all arms are asked with the same luck; and a step on a GPU reads a window instead of hashing the whole vocabulary.

Tokens less likely than `min_p` times the likeliest are never drawn (Nguyen et al. 2024); temperature comes before, as in
transformers and vLLM.
"""

import hashlib
import math
from collections.abc import Sequence

import numpy as np
import torch

from training.contract import Answering

WINDOWS = 2**20
"""Offsets at which a place's noise can begin."""


class Choice:
    """How the tokens of a batch of prompts are chosen: `most` places each, logits of `vocabulary` numbers."""

    def __init__(self, answering: Answering, prompts: Sequence[list[int]], most: int, vocabulary: int, device: torch.device) -> None:
        self._temperature, self._min_p = answering.temperature, answering.min_p
        if not self._temperature:
            return
        noise = np.random.default_rng(answering.seed).gumbel(scale=self._temperature, size=WINDOWS + vocabulary)
        self._noise = torch.from_numpy(noise.astype(np.float32)).to(device).unfold(0, vocabulary, 1)
        self._offsets = torch.from_numpy(np.stack([_offsets(answering.seed, prompt, most) for prompt in prompts])).to(device)

    def tokens(self, logits: torch.Tensor, rows: slice, place: torch.Tensor) -> torch.Tensor:
        """One token for each of `rows`, whose logits are (rows, vocabulary); `place` (1,) counts from the answer's first token."""
        if not self._temperature:
            return logits.argmax(dim=-1)
        scores = self.scores(logits, self._offsets[rows].index_select(1, place)[:, 0])
        return scores.masked_fill_(logits < self._least(logits), -math.inf).argmax(dim=-1)

    def scores(self, logits: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        """Logits with the noise of each row's offset, in nats."""
        return self._noise[offsets].add_(logits)

    def gaps(self, logits: torch.Tensor, chosen: torch.Tensor, first: int = 0) -> torch.Tensor:
        """How far, in nats, tokens at the places from `first` on of the first prompt are from being the choice here.

        Another token stands before one by its lead, but by no more than it is above what `min_p` allows.
        `logits` are (places, vocabulary), `chosen` (places,).
        """
        chosen = chosen[:, None]
        if not self._temperature:
            return logits.amax(dim=1) - logits.gather(1, chosen)[:, 0]
        scores = self.scores(logits, self._offsets[0, first : first + len(logits)])
        allowed = logits - self._least(logits)
        lead = torch.minimum(scores - scores.gather(1, chosen), allowed).amax(dim=1, keepdim=True)
        return torch.maximum(lead, -allowed.gather(1, chosen))[:, 0]

    def _least(self, logits: torch.Tensor) -> torch.Tensor:
        drop = self._temperature * math.log(self._min_p) if self._min_p else -math.inf
        return logits.amax(dim=-1, keepdim=True).float() + drop


def _offsets(seed: int, prompt: list[int], most: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Where the noise of each place begins; the first places are the same for any `most`."""
    question = hashlib.sha256(np.array(prompt, np.int64).tobytes()).digest()[:8]
    key = np.array([seed, int.from_bytes(question, "little")], np.uint64)
    raw = np.atleast_1d(np.random.Philox(key=key).random_raw(most))
    return (raw % np.uint64(WINDOWS)).astype(np.int64)
