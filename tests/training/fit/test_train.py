"""Whole trainings, as real processes where it matters: killed, stopped, repeated, shared, out of disk."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.child import Child
from tests.training.conftest import pair
from training.contract import RESULT_FILE, TrainRequest, TrainResult, read_json, write_json
from training.errors import CheckpointError, NonFiniteLoss, OutOfMemory, Stopped
from training.fit.train import train
from training.signals import StopFlag

Make = Callable[..., TrainRequest]
LONG = {"epochs": 10, "checkpoint_steps": 4}  # 30 steps


def losses(request: TrainRequest) -> list[float]:
    """Training loss of each step, as told to MLflow."""
    entries = [json.loads(line) for line in (request.run_folder / "outbox.jsonl").read_text().splitlines()]
    return [entry["values"]["train/loss"] for entry in entries if entry["kind"] == "metrics" and entry["step"]]


def adapter(request: TrainRequest) -> dict[str, torch.Tensor]:
    return dict(load_file(request.run_folder / "adapter" / "adapter_model.safetensors"))


def assert_equal(first: TrainRequest, second: TrainRequest) -> None:
    assert losses(first) == losses(second)
    assert all(torch.equal(tensor, adapter(second)[name]) for name, tensor in adapter(first).items())


def steps_done(request: TrainRequest) -> int:
    path = request.run_folder / "outbox.jsonl"
    return path.read_text().count('"train/loss"') if path.exists() else 0


def interrupt(request: TrainRequest, after_step: int, number: signal.Signals, stage: TrainRequest | None = None) -> tuple[int, str]:
    """Start the training and send it a signal once it, or a stage of it, has done so many steps; its status and what it said."""
    child = Child(request.run_folder.with_suffix(".txt"), "train", request.run_folder / "request.json")
    while steps_done(stage or request) < after_step and child.is_running:
        time.sleep(0.002)
    child.send(number)
    return child.wait(), child.said.read_text()


def test_killed_at_several_steps_it_ends_like_an_undisturbed_run(request_training: Make) -> None:
    whole, killed = request_training("whole", **LONG), request_training("killed", **LONG)
    train(whole, StopFlag())
    for after_step in (2, 9, 20):
        assert interrupt(killed, after_step, signal.SIGKILL)[0] == -signal.SIGKILL
        assert steps_done(killed) < 30
    result = train(killed, StopFlag())
    assert_equal(whole, killed)
    assert (result.steps, result.tokens, result.first_loss) == (
        30,
        read_json(TrainResult, whole.run_folder / RESULT_FILE).tokens,
        losses(whole)[0],
    )
    assert losses(whole)[-1] < losses(whole)[0] - 0.3
    assert not (killed.run_folder / "checkpoints").exists()


def test_a_stop_before_the_first_step_ends_without_one(request_training: Make) -> None:
    stop, request = StopFlag(), request_training("run", **LONG)
    stop.signal = signal.SIGTERM
    with pytest.raises(Stopped, match=r"Stopped by SIGTERM\. Nothing was trained in this attempt"):
        train(request, stop)
    assert steps_done(request) == 0


def test_sigterm_saves_a_checkpoint_says_so_and_the_rest_is_the_same(request_training: Make) -> None:
    whole, stopped = request_training("whole", **LONG), request_training("stopped", **{**LONG, "checkpoint_steps": 1000})
    (stopped.run_folder / "checkpoints" / "step-000099.unfinished").mkdir(parents=True)  # of an earlier kill: swept away
    status, said = interrupt(stopped, 5, signal.SIGTERM)
    assert status == 143
    (step,) = [int(path.name.removeprefix("step-")) for path in (stopped.run_folder / "checkpoints").iterdir()]
    assert step == steps_done(stopped)
    assert f"Stopped by SIGTERM. A checkpoint at step {step} of 30 is kept" in said
    train(stopped, StopFlag())
    train(whole, StopFlag())
    assert_equal(whole, stopped)


def test_two_runs_give_equal_adapters_and_another_seed_does_not(request_training: Make) -> None:
    first, second, other = request_training("first"), request_training("second"), request_training("other", seed=1)
    for request in (first, second, other):
        train(request, StopFlag())
    assert_equal(first, second)
    assert losses(first) != losses(other)


def test_dropout_is_the_same_after_a_resume(request_training: Make) -> None:
    whole, resumed = request_training("whole", dropout=0.3, **LONG), request_training("resumed", dropout=0.3, **LONG)
    train(whole, StopFlag())
    assert interrupt(resumed, 6, signal.SIGKILL)[0] == -signal.SIGKILL
    train(resumed, StopFlag())
    assert_equal(whole, resumed)


def test_a_finished_training_is_not_repeated(request_training: Make) -> None:
    request = request_training()
    result = train(request, StopFlag())
    (request.run_folder / "adapter" / "adapter_model.safetensors").unlink()
    assert train(request, StopFlag()) == result


def test_the_result_says_what_was_trained(request_training: Make) -> None:
    request = request_training(epochs=2, max_steps=5)
    result = train(request, StopFlag())
    assert (result.rows, result.dropped, result.steps, result.base, result.run_id) == (20, {}, 5, "tiny-random-qwen2", None)
    assert result.last_loss == losses(request)[-1]
    assert json.loads((request.run_folder / "progress.json").read_text()) == {"stage": "train", "done": 5, "total": 5, "unit": "steps"}
    assert (request.run_folder / "previews.txt").read_text().count("⟦") == 5


def test_an_unreadable_checkpoint_costs_steps_and_nothing_else(request_training: Make) -> None:
    whole, broken = request_training("whole", **LONG), request_training("broken", **LONG)
    train(whole, StopFlag())
    interrupt(broken, 20, signal.SIGKILL)
    newest = max((broken.run_folder / "checkpoints").glob("step-??????"))
    (newest / "optimizer.pt").write_bytes(b"cut")
    train(broken, StopFlag())
    assert_equal(whole, broken)


def test_checkpoints_come_by_the_clock_and_not_by_steps(request_training: Make) -> None:
    often, never = (
        request_training(name, epochs=10, checkpoint_steps=None, checkpoint_minutes=minutes)
        for name, minutes in (("often", 1e-6), ("never", 10))
    )
    for request in (often, never):
        assert interrupt(request, 20, signal.SIGKILL)[0] == -signal.SIGKILL
    assert list((often.run_folder / "checkpoints").glob("step-??????"))
    assert not (never.run_folder / "checkpoints").exists()
    train(often, StopFlag())
    train(never, StopFlag())
    assert_equal(often, never)


def test_checkpoints_of_another_dataset_are_refused(request_training: Make) -> None:
    request = request_training(**LONG)
    interrupt(request, 10, signal.SIGKILL)
    path = request.dataset / "direct.jsonl"
    path.write_text(path.read_text() + pair("one", "more"))
    with pytest.raises(CheckpointError, match="another recipe, dataset or base"):
        train(request, StopFlag())


def test_a_training_that_diverges_stops_with_the_last_good_checkpoint(request_training: Make) -> None:
    request = request_training(learning_rate=1e30, warmup_share=0, checkpoint_steps=1, max_gradient_norm=1e9, epochs=5)
    with pytest.raises(NonFiniteLoss, match=r"Step \d+: .* The last checkpoint is kept in"):
        train(request, StopFlag())
    assert list((request.run_folder / "checkpoints").glob("step-*"))
    assert not (request.run_folder / RESULT_FILE).exists()


def test_a_divergence_before_the_first_checkpoint_says_that_there_is_none(request_training: Make) -> None:
    request = request_training(learning_rate=1e30, warmup_share=0, max_gradient_norm=1e9, epochs=5, checkpoint_steps=1000)
    with pytest.raises(NonFiniteLoss, match=r"Step \d+: .* There was no checkpoint yet\."):
        train(request, StopFlag())


def test_a_smaller_micro_batch_may_be_chosen_on_the_way(request_training: Make) -> None:
    whole, resumed = request_training("whole", **LONG), request_training("resumed", **LONG)
    train(whole, StopFlag())
    interrupt(resumed, 6, signal.SIGKILL)
    smaller = resumed.model_copy(update={"recipe": resumed.recipe.model_copy(update={"micro_batch": 1})})
    write_json(smaller, resumed.run_folder / "request.json")
    assert interrupt(smaller, 8, signal.SIGTERM)[0] == 143
    newest = max((resumed.run_folder / "checkpoints").glob("step-??????"))
    assert json.loads((newest / "state.json").read_text())["micro_batch"] == 1
    train(smaller, StopFlag())
    assert losses(resumed) == pytest.approx(losses(whole), rel=1e-4)


def test_memory_that_ends_on_the_way_is_one_clear_error(request_training: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def out_of_memory(*_arguments: object, **_others: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("training.fit.train.train_step", out_of_memory)
    with pytest.raises(OutOfMemory, match=r"Step 1: out of memory with micro_batch = 4\. .* set micro_batch = 2 in the recipe"):
        train(request_training(), StopFlag())


def test_a_full_disk_is_one_clear_error(request_training: Make, tmp_path: Path) -> None:
    request, errors = request_training(rank=64, checkpoint_steps=1), tmp_path / "errors.txt"
    arguments = ("train", request.run_folder / "request.json")
    assert Child(tmp_path / "said.txt", *arguments, errors=errors, file_bytes=200_000).wait() == 1
    assert errors.read_text().count("\n") == 1
    assert errors.read_text().startswith("The disk is full")
    assert list((request.run_folder / "checkpoints").iterdir()) == []
    assert (request.run_folder / "outbox.jsonl").read_text().endswith('{"run": "", "kind": "status", "value": "FAILED"}\n')


def test_recomputing_layers_is_the_same_training(request_training: Make) -> None:
    kept, again = request_training("kept"), request_training("again", recompute=1.0)
    train(kept, StopFlag())
    train(again, StopFlag())
    assert losses(again) == pytest.approx(losses(kept), rel=1e-5)


def test_errors_are_one_line_and_exit_status_one(request_training: Make, tmp_path: Path) -> None:
    request, errors = request_training(), tmp_path / "errors.txt"
    (request.dataset / "direct.jsonl").write_text("")
    assert Child(tmp_path / "said.txt", "train", request.run_folder / "request.json", errors=errors).wait() == 1
    assert errors.read_text() == f"{request.dataset} has no rows to train on in direct.jsonl.\n"


def test_each_epochs_adapter_is_kept_and_is_the_same_after_kills(request_training: Make) -> None:
    whole, killed = (request_training(name, keep_epochs=True, **LONG) for name in ("whole", "killed"))
    train(whole, StopFlag())
    for after_step in (5, 17):
        assert interrupt(killed, after_step, signal.SIGKILL)[0] == -signal.SIGKILL
    result = train(killed, StopFlag())
    names = [f"adapter-epoch-{epoch}" for epoch in range(1, 10)]
    assert [path.name for path in result.epoch_adapters] == names
    assert [path.is_dir() for path in result.epoch_adapters] == [True] * 9
    weights = [[load_file(one.run_folder / name / "adapter_model.safetensors") for name in names] for one in (whole, killed)]
    assert all(torch.equal(tensor, second[name]) for first, second in zip(*weights, strict=True) for name, tensor in first.items())
    name = next(iter(weights[0][0]))
    assert not torch.equal(weights[0][0][name], weights[0][1][name])


def test_without_keep_epochs_only_the_last_adapter_is_kept(request_training: Make) -> None:
    request = request_training(epochs=2)
    assert train(request, StopFlag()).epoch_adapters == ()
    assert list(request.run_folder.glob("adapter-epoch-*")) == []
