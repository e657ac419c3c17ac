"""Arm `preferred`: pairs of a better and a worse answer to one prompt, by DPO with the likelihood of the better one added.

For a pair the loss is -log sigmoid(beta x (rise of the better answer's log-likelihood - rise of the worse one's)), rises from where
the training began (Rafailov et al., arXiv 2305.18290), plus the better answer's loss in nats a token, which keeps it from sinking
along with the worse one (2404.19733). To the training loop a pair is a row that counts as one answer token, so that its step, its
checkpoints and its several processes are those of every training here, and the loss it reports is a mean over pairs.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from statistics import fmean, stdev
from typing import Any

import torch
from torch.nn.functional import logsigmoid

from training.fit.checkpoint import State
from training.fit.fused import choose_kernels, packed_hidden_states
from training.fit.loss import token_losses
from training.fit.paths import TOKENS, ForwardPath, learner, reasons_against_packing, say_path
from training.models.decoder import causal_model, head, hidden_states
from training.processes import Processes
from training.rows.data import IGNORED, Row, collate
from training.rows.order import micro_batches
from training.rows.packing import group_by_tokens, pack
from training.signals import Look, no_look

log = logging.getLogger(__name__)

BETA = 0.1
LIKELIHOOD = 1.0
"""What a nat a token of the better answer weighs."""
LOOKS = 10
"""How often in a training the likelihood of better answers nobody trains on is looked at."""
CERTAIN = 2.0
"""Standard errors by which they must have become less likely for the training to end."""
AT_ONCE = 4
"""Rows whose nats are taken together, outside of the training."""
SORTED = 64
"""Pairs whose rows are put in order of their lengths for it; between them a signal is looked for."""
MakeRows = Callable[[Sequence[Row]], Any]
RunRows = Callable[[Any], torch.Tensor]
"""Tensors of some rows to the cross-entropy of each one's answer, in nats."""


@dataclass(frozen=True)
class PreferencePair(Row):
    """Both rows of a pair. `ids` are those of both together, and say how large it is; `reference` are the nats of the better and the
    worse answer where the training begins."""

    better: Row
    worse: Row
    reference: tuple[float, float] = (0.0, 0.0)

    @classmethod
    def of(cls, better: Row, worse: Row) -> "PreferencePair":
        """A pair whose reference is not known yet."""
        ids = [*better.ids, *worse.ids]
        return cls(better.source, ids, len(ids) - 1, better, worse)


@dataclass(frozen=True)
class _Pass:
    """One forward pass: all better rows, then all worse ones; `reference` their nats, `tokens` the better answers' lengths."""

    rows: Any
    reference: torch.Tensor
    tokens: torch.Tensor


@dataclass(frozen=True)
class PairPath:
    """How pairs are run forward: `path` for the training, `nats` for the nats of each row's answer, by the same kernels."""

    path: ForwardPath
    nats: Callable[[Sequence[Row]], list[float]]


def preference_path(model: Any, pad_id: int, max_length: int, device: torch.device, recompute: float = 0.0) -> PairPath:
    """Packed where rows could be, else padded; says which."""
    against = reasons_against_packing(model, device)
    if against and recompute:
        causal_model(model).gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    make_rows, nats = _padded(model, pad_id, device) if against else _packed(model, device, recompute)
    path = pair_path(make_rows, nats, max_length, device, is_packed=not against)
    say_path(path.name, against)
    return PairPath(path, partial(_nats_of, make_rows, nats))


def pair_path(make_rows: MakeRows, nats: RunRows, max_length: int, device: torch.device, *, is_packed: bool) -> ForwardPath:
    """The forward path of pairs over one of rows."""
    name = f"preference pairs, {'packed' if is_packed else 'padded'}"

    def make(pairs: Sequence[Row]) -> _Pass:
        found = [pair for pair in pairs if isinstance(pair, PreferencePair)]
        rows = [*(pair.better for pair in found), *(pair.worse for pair in found)]
        reference = [pair.reference[side] for side in (0, 1) for pair in found]
        lengths = [len(pair.better.ids) - pair.better.answer_start for pair in found]
        return _Pass(make_rows(rows), torch.tensor(reference), torch.tensor(lengths, dtype=torch.float32))

    def run(one: _Pass) -> torch.Tensor:
        return preference_loss(nats(one.rows), one.reference.to(device), one.tokens.to(device))

    def group(pairs: Sequence[Row], micro_batch: int) -> list[list[Row]]:
        return group_by_tokens(pairs, micro_batch * max_length) if is_packed else micro_batches(pairs, max(1, micro_batch // 2))

    def largest(pair: Row, micro_batch: int) -> list[Row]:
        return [pair] * max(1, micro_batch * max_length // len(pair.ids) if is_packed else micro_batch // 2)

    return ForwardPath(name, make, run, learner(run), group, largest)


def preference_loss(nats: torch.Tensor, reference: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """The sum over pairs. `nats` and `reference` (2 x pairs) are of all better answers, then of all worse ones; `tokens` (pairs)."""
    better, worse = (reference - nats).chunk(2)
    likelihood = nats.chunk(2)[0] / tokens
    return (LIKELIHOOD * likelihood - logsigmoid(BETA * (better - worse))).sum()


def with_reference(
    nats: Callable[[Sequence[Row]], list[float]], pairs: Sequence[PreferencePair], look: Look = no_look
) -> list[PreferencePair]:
    """The pairs with the nats that the model gives their answers now. `look` is called now and then, and may raise."""
    found = list[float]()
    for start in range(0, len(pairs), SORTED):
        look()
        found += nats([row for pair in pairs[start : start + SORTED] for row in (pair.better, pair.worse)])
    return [replace(pair, reference=(found[2 * place], found[2 * place + 1])) for place, pair in enumerate(pairs)]


@torch.no_grad()
def _nats_of(make_rows: MakeRows, run: RunRows, rows: Sequence[Row]) -> list[float]:
    """The nats of each row, a few rows of like lengths at a time."""
    order = sorted(range(len(rows)), key=lambda place: len(rows[place].ids))
    found = [0.0] * len(rows)
    for some in (order[start : start + AT_ONCE] for start in range(0, len(order), AT_ONCE)):
        for place, value in zip(some, run(make_rows([rows[place] for place in some])).tolist(), strict=True):
            found[place] = value
    return found


class Watch:
    """Looks, a few times in a training, at better answers that nobody trains on, and ends it when they have certainly become less likely.

    Certainly: by more than CERTAIN standard errors over these answers. Without that five of seven trainings ended at step 1 to 3 over a
    thousandth of a nat a token (training/LOG.md, 2026-12-01).
    """

    def __init__(self, pairs: Sequence[PreferencePair], total: int, nats: Callable[[], list[float]], processes: Processes) -> None:
        self._began = [pair.reference[0] for pair in pairs]
        self._tokens = sum(len(pair.better.ids) - pair.better.answer_start for pair in pairs)
        self._every, self._nats, self._processes = max(1, total // LOOKS), nats, processes

    def __call__(self, state: State) -> State:
        """The state, with its end here if the answers are less likely than at the beginning."""
        if not self._tokens or state.step % self._every:
            return state
        falls = [now - began for now, began in zip(self._nats(), self._began, strict=True)]
        log.info("Step %d: better answers that nobody trains on are %+.4f nats a token likelier.", state.step, -sum(falls) / self._tokens)
        if self._processes.total(float(has_fallen(falls)))[0] == 0:
            return state
        log.warning("Better answers have become less likely than at the beginning: the training ends at step %d.", state.step)
        return replace(state, total_steps=state.step)


def has_fallen(falls: Sequence[float]) -> bool:
    """Whether answers, each with the nats that it has lost, have lost some for certain. Of a single one any loss counts."""
    error = CERTAIN * stdev(falls) / sqrt(len(falls)) if len(falls) > 1 else 0.0
    return fmean(falls) > error


def _padded(model: Any, pad_id: int, device: torch.device) -> tuple[MakeRows, RunRows]:
    def nats(batch: Any) -> torch.Tensor:
        batch = batch.to(device)
        hidden = hidden_states(model, input_ids=batch.ids, attention_mask=batch.attention)[:, :-1]
        labels = batch.labels[:, 1:]
        counted = labels != IGNORED
        return _by_row(token_losses(hidden[counted], labels[counted], head(model)), counted.nonzero()[:, 0], len(labels))

    return partial(collate, pad_id=pad_id), nats


def _packed(model: Any, device: torch.device, recompute: float) -> tuple[MakeRows, RunRows]:
    kernels = choose_kernels(device)

    def make(rows: Sequence[Row]) -> Any:
        return len(rows), pack(rows, TOKENS)

    def nats(made: Any) -> torch.Tensor:
        rows, one = made[0], made[1].to(device)
        hidden = packed_hidden_states(model, one, kernels, recompute)
        places = (one.targets != IGNORED).nonzero()[:, 0]
        owners = torch.searchsorted(one.bounds[1:].long(), places, right=True)
        return _by_row(token_losses(hidden[places], one.targets[places], head(model)), owners, rows)

    return make, nats


def _by_row(losses: torch.Tensor, owners: torch.Tensor, rows: int) -> torch.Tensor:
    return losses.new_zeros(rows).index_add(0, owners, losses)
