"""What a training stands on: base, rows, model, optimizer and forward path, loaded and checked before the first step."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from training.contract import PREFERRING, SELECTED_FILE, SELECTING, TRAINING_FILES, TrainRequest
from training.errors import CheckpointError
from training.files import write_file
from training.fit.checkpoint import State
from training.fit.fused import FUSABLE
from training.fit.memory import Shape, check_card
from training.fit.optimizer import MasterAdamW
from training.fit.pairs import load_pairs
from training.fit.paths import ForwardPath, choose_path
from training.fit.preference import PreferencePair, Watch, preference_path, with_reference
from training.fit.replay import replay_rows
from training.models.model import ADAPTER_FILE, Base, add_adapter, check_end_token, load_adapter, load_base, load_config, trainable
from training.processes import Processes, card_bytes
from training.rows.data import Row, Rows, load_rows
from training.rows.order import count_steps, most_tokens
from training.signals import Look

log = logging.getLogger(__name__)

IDENTITY_WITHOUT = frozenset({"log_steps", "checkpoint_steps", "micro_batch", "too_long", "base", "revision"})
"""Settings that do not decide the weights, or whose effect is in the digest already (rows, fingerprint)."""


REFERENCE_FILE = "reference.json"
"""Nats of the better and the worse answer of every pair, in their order, before the first step."""


def unwatched(state: State) -> State:
    """Nothing ends the training."""
    return state


@dataclass(frozen=True)
class Session:
    """What stays the same from the first step of a training to its last."""

    request: TrainRequest
    processes: Processes
    base: Base
    rows: Rows
    model: Any
    optimizer: MasterAdamW
    path: ForwardPath
    total_steps: int
    identity: str
    watch: Callable[[State], State]
    """Looks at the training after a step, and may end it there."""


def prepare_session(request: TrainRequest, processes: Processes, look: Look) -> Session:
    """Load and check everything that training needs. Raises TrainingError, and what `look` raises, which is called now and then."""
    look()
    recipe = request.recipe
    config = load_config(recipe.base, recipe.revision, request.models)
    if processes.device.type == "cuda" and config.model_type in FUSABLE:
        log.info(check_card(recipe, Shape.of(config), card_bytes(processes.device)))
    base = load_base(recipe.base, recipe.revision, recipe.precision, request.models, processes.device)
    check_end_token(base)
    if request.arm in PREFERRING:
        return _prepare_pairs(request, processes, base, look)
    folder, files = request.dataset, TRAINING_FILES[request.arm]
    if request.arm in SELECTING:
        folder, files = request.run_folder, (SELECTED_FILE,)
    rows = load_rows(folder, files, base.chat, recipe.max_length, recipe.too_long, request.models / "tokens", look)
    look()
    log.info("%d rows to train on; left out: %s", len(rows.rows), rows.dropped or "none")
    rows = Rows([*rows.rows, *replay_rows(request, base, len(rows.rows), processes, look).rows], rows.dropped)
    model = (load_adapter(base, request.start, learning=True) if request.start else add_adapter(base, recipe)).train()
    largest = most_tokens(rows.rows, recipe, processes.count)
    float8 = recipe.base_precision == "fp8"
    path = choose_path(model, base.tokenizer.pad_token_id, recipe.max_length, processes.device, largest, recipe.recompute, float8)
    return _session(request, processes, base, rows, model, path)


def _prepare_pairs(request: TrainRequest, processes: Processes, base: Base, look: Look) -> Session:
    """A session on pairs of answers, from an adapter; the reference is written down once, so that it stays the same after a kill."""
    recipe = request.recipe
    assert request.start
    if recipe.base_precision == "fp8":
        log.warning('base_precision = "fp8" in the recipe is left aside: the likelihoods of pairs are compared in bf16.')
    model = load_adapter(base, request.start, learning=True)
    found = load_pairs(request, base, model, processes, look)
    model.train()
    pair_path = preference_path(model, base.tokenizer.pad_token_id, recipe.max_length, processes.device, recipe.recompute)
    pairs = _with_kept_reference(request, processes, [*found.training, *found.watched], pair_path.nats, look)
    training, watched = pairs[: len(found.training)], pairs[len(found.training) :]
    better, total = [pair.better for pair in watched], _planned_steps(request, len(training))
    watch = Watch(watched, total, lambda: pair_path.nats(better), processes)
    return _session(request, processes, base, Rows([*training], found.dropped), model, pair_path.path, watch)


def _session(
    request: TrainRequest,
    processes: Processes,
    base: Base,
    rows: Rows,
    model: Any,
    path: ForwardPath,
    watch: Callable[[State], State] = unwatched,
) -> Session:
    return Session(
        request=request,
        processes=processes,
        base=base,
        rows=rows,
        model=model,
        optimizer=MasterAdamW(trainable(model), request.recipe.weight_decay),
        path=path,
        total_steps=_planned_steps(request, len(rows.rows)),
        identity=_identity(request, base, rows),
        watch=watch,
    )


def _with_kept_reference(
    request: TrainRequest, processes: Processes, pairs: list[PreferencePair], nats: Callable[[Sequence[Row]], list[float]], look: Look
) -> list[PreferencePair]:
    path = request.run_folder / REFERENCE_FILE
    if processes.is_main and not path.exists():
        write_file(path, json.dumps([pair.reference for pair in with_reference(nats, pairs, look)]) + "\n")
    processes.wait()
    kept = json.loads(path.read_bytes())
    if len(kept) != len(pairs):
        raise CheckpointError(f"{path} is of {len(kept)} pairs, and there are {len(pairs)} now. Remove the run folder and train again.")
    return [replace(pair, reference=(better, worse)) for pair, (better, worse) in zip(pairs, kept, strict=True)]


def _planned_steps(request: TrainRequest, rows: int) -> int:
    steps, warm = count_steps(rows, request.recipe), request.recipe.warm_steps
    return min(steps, warm) if request.start and warm else steps


def _identity(request: TrainRequest, base: Base, rows: Rows) -> str:
    """Digest of all that decides the weights; logging, checkpoint and memory settings are left out."""
    recipe = request.recipe.as_text(without=IDENTITY_WITHOUT)
    digest = hashlib.sha256(f"{recipe}\n{base.fingerprint}\n".encode())
    if request.start:
        digest.update((request.start / ADAPTER_FILE).read_bytes())
    for row in rows.rows:
        digest.update(repr((row.ids, row.answer_start)).encode())
        if isinstance(row, PreferencePair):
            digest.update(repr((len(row.better.ids), row.better.answer_start, row.reference)).encode())
    return digest.hexdigest()[:16]
