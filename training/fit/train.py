"""Train one adapter: from a request to `adapter/` and `result.json` in its run folder; a rerun goes on from the last checkpoint."""

import logging
import time
from dataclasses import replace
from pathlib import Path

import torch

from training.contract import FIRST_STAGE, REQUEST_FILE, RESULT_FILE, VOTES_FILE, TrainRequest, TrainResult, read_json, write_json
from training.errors import CheckpointError, NonFiniteLoss, OutOfMemory
from training.fit import checkpoint, tracked as train_tracking
from training.fit.checkpoint import Saver, State
from training.fit.loop import PreparedStep, Step, StepResult, fit_micro_batch, prepare, train_step
from training.fit.optimizer import learning_rate
from training.fit.pace import Pace
from training.fit.session import Session, prepare_session
from training.fit.staged import first_stage, joined, second_stage
from training.fit.throughput import Throughput
from training.models.model import save_adapter
from training.processes import Processes
from training.progress import Progress
from training.rows.order import rows_of_step, steps_an_epoch
from training.signals import Look, StopFlag, no_look
from training.tracking.run import TrackedRun, open_run

log = logging.getLogger(__name__)

ADAPTER = "adapter"
EPOCH_ADAPTER = "adapter-epoch-{}"


def train(request: TrainRequest, stop: StopFlag, shown: Path | None = None) -> TrainResult:
    """Train, or go on training, and write the result last. Raises TrainingError, or Stopped after saving a checkpoint.

    How far it is stands in the folder `shown`; by default in the run folder.
    """
    result_path = request.run_folder / RESULT_FILE
    if result_path.exists():
        log.info("Already trained: %s", result_path)
        return read_json(TrainResult, result_path)
    processes, asked = Processes(), request
    earlier = _train_first_stage(request, processes, stop) if request.arm in FIRST_STAGE else None
    if earlier:
        request = second_stage(request, earlier.adapter)
    folder = _folder_of_process(request.run_folder, processes)
    with open_run(request.tracking if processes.is_main else None, folder) as run:
        session = prepare_session(request, processes, _before_training(processes, stop))
        train_tracking.start(run, asked, session.base, session.rows, session.path.name)
        progress_folder = _folder_of_process(shown, processes) if shown else folder
        state = run_steps(session, _resume(session) or _start(session), run, progress_folder, stop)
        result = _finish(session, state, run)
    if earlier:
        result = joined(earlier, result)
    losses = f"{result.first_loss:.4f} to {result.last_loss:.4f}"
    log.info("Trained %d steps on %d rows in %.0f s: loss %s.", result.steps, result.rows, result.seconds, losses)
    processes.wait()  # only when all have come to the end there is a result
    if processes.is_main:
        write_json(result, result_path)
        checkpoint.remove_all(request.run_folder)
        (request.run_folder / VOTES_FILE).unlink(missing_ok=True)  # what people said is kept by the database, and not for ever
    return result


def _train_first_stage(request: TrainRequest, processes: Processes, stop: StopFlag) -> TrainResult:
    """Its run folder has a request of its own, by which it is known for one; how far it is stands in that of the whole."""
    first = first_stage(request)
    if processes.is_main:
        first.run_folder.mkdir(parents=True, exist_ok=True)
        write_json(first, first.run_folder / REQUEST_FILE)
    return train(first, stop, shown=request.run_folder)


def _before_training(processes: Processes, stop: StopFlag) -> Look:
    """Ends the preparation of a single process when a signal arrives; of several, all come to the first step, and end together."""
    kept = "Nothing was trained in this attempt; run the same command again to go on."
    return (lambda: stop.raise_if_set(kept)) if processes.count == 1 else no_look


def run_steps(session: Session, state: State, run: TrackedRun, folder: Path, stop: StopFlag) -> State:
    """Train from `state` to the last step, saving checkpoints; a stop signal saves one and raises Stopped."""
    recipe, total = session.request.recipe, state.total_steps or session.total_steps
    throughput = Throughput(session.model, recipe.log_steps, session.processes.device)
    silent = not session.processes.is_main
    saving = Saving(session)
    with Progress(folder, "train", total, "steps", line_every=recipe.log_steps, done=state.step, silent=silent) as progress:
        ahead, pace = LookAhead(session, state), Pace(recipe, session.processes)
        while state.step < total:
            began = time.monotonic()
            step = _step(session, ahead, stop, saving)
            took = time.monotonic() - began
            state = _advance(state, step, took)
            speed = throughput.add(step.tokens, step.answer_tokens, state.step)
            train_tracking.step(run, state.step, step, learning_rate(recipe, state.step - 1, total), speed)
            state = session.watch(pace.decide(state, step.tokens, took, _tokens_to_come(session, state.step)))
            if state.total_steps and state.total_steps != total:
                total = state.total_steps
                ahead.replan(total)
                progress.replan(total)
            progress.update(state.step, f"loss {step.loss:.4f}  {throughput.tokens_per_second:.0f} tokens/s")
            _keep_epoch(session, state)  # before the checkpoint, which would be gone on from
            saving.after(step, state)
            if step.stopping:
                saving.finish()
                stop.raise_stopped(f"A checkpoint at step {state.step} of {total} is kept; run the same command again to go on.")
    saving.finish()
    return state


class Saving:
    """When a checkpoint is begun: by the main process's clock, after so many steps, and when asked to stop."""

    def __init__(self, session: Session) -> None:
        self._session, self._recipe = session, session.request.recipe
        self._saver = Saver(session.request.run_folder)
        self._began = time.monotonic()

    @property
    def is_due(self) -> bool:
        """Whether it is time for one, which the main process tells the others."""
        is_time = time.monotonic() - self._began > 60 * self._recipe.checkpoint_minutes
        return self._session.processes.is_main and is_time and not self._saver.is_busy

    def after(self, step: StepResult, state: State) -> None:
        """Begin one if there is to be one after this step."""
        every = self._recipe.checkpoint_steps
        if self._session.processes.is_main and (step.stopping or step.saving or (every and state.step % every == 0)):
            self._began = time.monotonic()
            self._saver.begin(state, self._session.optimizer.state())

    def settle(self) -> None:
        """Wait, in this process, until the last one is on the disk."""
        self._saver.wait()

    def finish(self) -> None:
        """The same in all processes."""
        self.settle()
        self._session.processes.wait()


class LookAhead:
    """Prepares the step after the current one while the device works on that."""

    def __init__(self, session: Session, state: State) -> None:
        self._session, self._number, self._micro_batch = session, state.step, state.micro_batch
        self._total = state.total_steps or session.total_steps
        self._next: PreparedStep | None = None

    def take(self) -> PreparedStep:
        """The next step to be taken."""
        self.prepare()
        assert self._next is not None
        step, self._next = self._next, None
        self._number += 1
        return step

    def prepare(self) -> None:
        """Make the next step ready, if there is one and it is not."""
        session, recipe = self._session, self._session.request.recipe
        if self._next is None and self._number < self._total:
            rate = learning_rate(recipe, self._number, self._total)
            rows = rows_of_step(session.rows.rows, recipe, self._number)
            self._next = prepare(session.path, Step(self._number, rows, self._micro_batch, rate), session.processes)

    def replan(self, total: int) -> None:
        """The training has fewer or more steps than was thought: what was prepared is made again, with its new learning rate."""
        self._total, self._next = total, None


def _tokens_to_come(session: Session, done: int) -> list[int]:
    """Tokens of each step that is planned after `done` steps."""
    rows, recipe = session.rows.rows, session.request.recipe
    return [sum(len(row.ids) for row in rows_of_step(rows, recipe, step)) for step in range(done, session.total_steps)]


def _step(session: Session, ahead: LookAhead, stop: StopFlag, saving: Saving) -> StepResult:
    prepared, recipe, processes = ahead.take(), session.request.recipe, session.processes
    save = saving.is_due
    try:
        return train_step(
            session.path, session.optimizer, prepared, recipe, processes, stop=lambda: stop.is_set, save=save, meanwhile=ahead.prepare
        )
    except NonFiniteLoss as error:
        saving.settle()
        newest = checkpoint.newest(session.request.run_folder)
        kept = f"The last checkpoint is kept in {newest}." if newest else "There was no checkpoint yet."
        raise NonFiniteLoss(f"Step {prepared.step.number + 1}: {error} {kept}") from error
    except torch.OutOfMemoryError as error:
        size = prepared.step.micro_batch
        raise OutOfMemory(
            f"Step {prepared.step.number + 1}: out of memory with micro_batch = {size}. Run the same command again; if that does not help,"
            f" set micro_batch = {max(1, size // 2)} in the recipe: the run goes on from its last checkpoint either way."
        ) from error


def _start(session: Session) -> State:
    micro_batch = _fitting(session, session.request.recipe.micro_batch)
    return State(session.identity, step=0, micro_batch=micro_batch, tokens=0, seconds=0.0, first_loss=0.0, last_loss=0.0)


def _fitting(session: Session, micro_batch: int) -> int:
    longest = max(session.rows.rows, key=lambda row: len(row.ids))
    return fit_micro_batch(session.path, session.optimizer, longest, micro_batch, session.processes)


def _resume(session: Session) -> State | None:
    if session.processes.is_main:
        checkpoint.remove_halves(session.request.run_folder)
    found = checkpoint.load_newest(session.request.run_folder, session.identity)
    same_everywhere(session.processes, found[0] if found else None, session.identity)
    if found is None:
        return None
    state, optimizer = found
    session.optimizer.load_state(optimizer)
    log.info("Going on after step %d of %d.", state.step, session.total_steps)
    micro_batch = min(state.micro_batch, session.request.recipe.micro_batch)
    if session.processes.device.type == "cuda":  # it may be another one, with less memory
        micro_batch = _fitting(session, micro_batch)
    return replace(state, micro_batch=micro_batch)


def same_everywhere(processes: Processes, state: State | None, identity: str) -> None:
    """Raise CheckpointError unless all processes go on from the same step of the same training."""
    facts = processes.gather(f"step {state.step if state else 0} of {identity}")
    if len(set(facts)) > 1:
        stand = "; ".join(f"process {rank} at {fact}" for rank, fact in enumerate(facts, start=1))
        raise CheckpointError(
            f"The processes would go on from different places: {stand}. See that all of them read the same run folder, dataset and"
            " base, and what was said about checkpoints that cannot be read; then run the same command again."
        )


def _advance(state: State, step: StepResult, seconds: float) -> State:
    return replace(
        state,
        step=state.step + 1,
        tokens=state.tokens + step.tokens,
        seconds=state.seconds + seconds,
        first_loss=step.loss if state.step == 0 else state.first_loss,
        last_loss=step.loss,
    )


def _keep_epoch(session: Session, state: State) -> None:
    """Save the adapter where an epoch ends, if the recipe says so; the last step's is saved as the result anyway."""
    epoch, position = divmod(state.step, steps_an_epoch(len(session.rows.rows), session.request.recipe.batch))
    if session.request.recipe.keep_epochs and not position and state.step < (state.total_steps or session.total_steps):
        if session.processes.is_main:
            save_adapter(session.model, session.base, session.request.run_folder / EPOCH_ADAPTER.format(epoch))
        session.processes.wait()


def _epoch_adapters(session: Session, state: State) -> tuple[Path, ...]:
    if not session.request.recipe.keep_epochs:
        return ()
    ended = (state.step - 1) // steps_an_epoch(len(session.rows.rows), session.request.recipe.batch)
    return tuple(session.request.run_folder / EPOCH_ADAPTER.format(epoch) for epoch in range(1, ended + 1))


def _finish(session: Session, state: State, run: TrackedRun) -> TrainResult:
    adapter = session.request.run_folder / ADAPTER
    if session.processes.is_main:
        began = time.monotonic()
        save_adapter(session.model, session.base, adapter)
        log.info("Saved the adapter in %.1f s.", time.monotonic() - began)
    train_tracking.end(run, adapter, state)
    return TrainResult(
        adapter=adapter,
        epoch_adapters=_epoch_adapters(session, state),
        base=session.base.name,
        run_id=run.run_id,
        rows=len(session.rows.rows),
        dropped=session.rows.dropped,
        steps=state.step,
        planned_steps=session.total_steps,
        tokens=state.tokens,
        seconds=round(state.seconds, 3),
        first_loss=state.first_loss,
        last_loss=state.last_loss,
    )


def _folder_of_process(run_folder: Path, processes: Processes) -> Path:
    """Where a process writes its progress: the run folder for the main one; a folder inside for each other, which says only warnings."""
    if not processes.is_main:
        logging.getLogger("training").setLevel(logging.WARNING)
    folder = run_folder if processes.is_main else run_folder / f"process-{processes.rank}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder
