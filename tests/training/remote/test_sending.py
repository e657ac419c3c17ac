"""Stages that send their work to an S3 server: killed, gone on with in another empty home, asked to end."""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training.child import Child
from tests.training.relay import relay
from tests.training.remote.conftest import BASE, DATASET, RUN, ask_training, start
from tests.training.remote.s3_server import Bucket
from training.contract import (
    ANSWERED_FILE,
    REQUEST_FILE,
    RESULT_FILE,
    ArmRequest,
    EvaluateRequest,
    TrainRequest,
    TrainResult,
    read_json,
    write_json,
)
from training.files import whole_folder
from training.fit import checkpoint
from training.fit.checkpoint import State
from training.fit.train import train
from training.measure.answered import Answered
from training.remote.object_store import list_files
from training.remote.remote_data import RemoteDataError, download_results, fetch_inputs, upload_inputs
from training.remote.sending import _Sender, sending
from training.signals import StopFlag

LONG = {"epochs": 100, "checkpoint_steps": 40}  # 300 steps
SENT_WITHIN = 60.0
STATE = State("same", step=0, micro_batch=1, tokens=0, seconds=0.0, first_loss=0.0, last_loss=0.0)


def ask_evaluation(home: Path, adapter: Path) -> Path:
    run_folder = adapter.parent / "evaluation-one"
    run_folder.mkdir()
    request = EvaluateRequest(
        run_folder=run_folder,
        dataset=home / DATASET,
        base="tiny-random-qwen2",
        precision="fp32",
        arms=(ArmRequest(name="base"), ArmRequest(name="direct", adapter=adapter)),
        candidate="direct",
        questions=10,
        max_new_tokens=12,
        cut_answers=True,
        batch=2,
        ability=False,
        models=home / "models",
    )
    write_json(request, run_folder / REQUEST_FILE)
    return run_folder / REQUEST_FILE


def wait_for(child: Child, what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SENT_WITHIN
    while not what():
        assert child.is_running and time.monotonic() < deadline, child.said.read_text()
        time.sleep(0.01)


def whole_checkpoints(bucket: Bucket) -> list[str]:
    """Marks of checkpoints, each of which must have its files beside it in the same listing."""
    names = bucket.names(f"{RUN}/checkpoints/")
    marks = sorted(name for name in names if name.endswith(".complete"))
    assert {f"{mark.removesuffix('.complete')}/{file}" for mark in marks for file in ("optimizer.pt", "state.json")} <= names
    return marks


def assert_the_result_comes_last(bucket: Bucket) -> bool:
    """Whether the result is there; then all else must be."""
    names = bucket.names(RUN)
    there = f"{RUN}/{RESULT_FILE}" in names
    assert not there or {f"{RUN}/{name}" for name in ("adapter.complete", "adapter/adapter_model.safetensors", "outbox.jsonl")} <= names
    return there


def losses(run_folder: Path) -> list[float]:
    entries = [json.loads(line) for line in (run_folder / "outbox.jsonl").read_text().splitlines()]
    return [entry["values"]["train/loss"] for entry in entries if entry["kind"] == "metrics" and entry["step"]]


def adapter(run_folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_file(run_folder / "adapter" / "adapter_model.safetensors"))


def undisturbed(home: Path, request: Path) -> Path:
    """The run folder of the same training, done on one machine without a store."""
    asked = read_json(TrainRequest, request)
    elsewhere = home.with_name("undisturbed")
    train(asked.model_copy(update={"run_folder": elsewhere}), StopFlag())
    return elsewhere


def keep(home: Path) -> Path:
    """A copy of the home folder, as Airflow keeps it while stages run elsewhere."""
    return shutil.copytree(home, home.with_name("airflow"))


def give_back(home: Path, kept: Path) -> None:
    """Airflow's home folder stands at its path again."""
    shutil.rmtree(home)
    shutil.copytree(kept, home)


def test_killed_after_a_checkpoint_a_training_goes_on_in_another_empty_home_and_ends_the_same(bucket: Bucket, home: Path) -> None:
    request = ask_training(home, epochs=50, checkpoint_steps=20)
    whole = undisturbed(home, request)
    upload_inputs("train", request, home, bucket.url)
    before, airflow = bucket.names(), keep(home)
    child = start("train", request, home, bucket)
    wait_for(child, lambda: bool(whole_checkpoints(bucket)))
    child.send(signal.SIGKILL)
    assert child.wait() == -signal.SIGKILL
    assert f"{RUN}/{RESULT_FILE}" not in bucket.names()

    child = start("train", request, home, bucket)
    wait_for(child, lambda: assert_the_result_comes_last(bucket))
    assert child.wait() == 0, child.said.read_text()
    said = child.said.read_text()
    assert "Going on after step" in said and "of 150" in said
    assert not whole_checkpoints(bucket)

    give_back(home, airflow)
    download_results("train", request, home, bucket.url)
    run_folder = home / RUN
    assert losses(run_folder) == losses(whole)
    assert all(torch.equal(tensor, adapter(whole)[name]) for name, tensor in adapter(run_folder).items())
    assert read_json(TrainResult, run_folder / RESULT_FILE).adapter == run_folder / "adapter"
    assert not (run_folder / "checkpoints").exists()
    upload_inputs("evaluate", ask_evaluation(home, run_folder / "adapter"), home, bucket.url)  # whose adapter is there already
    assert bucket.versions()[f"{RUN}/adapter/adapter_model.safetensors"] == 1
    outside = {name: count for name, count in bucket.versions().items() if not name.startswith(RUN)}
    assert set(outside.values()) == {1}
    assert set(outside) == {name for name in before if not name.startswith(RUN)}


def test_a_half_sent_checkpoint_is_never_used(bucket: Bucket, home: Path) -> None:
    request = ask_training(home, **LONG)
    upload_inputs("train", request, home, bucket.url)
    child = start("train", request, home, bucket)
    wait_for(child, lambda: len(whole_checkpoints(bucket)) == 2)
    child.send(signal.SIGKILL)
    child.wait()
    older, newer = whole_checkpoints(bucket)[-2:]
    bucket.delete(newer)  # as if the kill had come a moment earlier
    shutil.rmtree(home)
    fetch_inputs("train", request, home, bucket.url)
    assert f"{newer.removesuffix('.complete')}/optimizer.pt" in bucket.names()
    assert [path.name for path in (home / RUN / "checkpoints").iterdir()] == [Path(older).stem]


class SlowStore:
    """A store to which two checkpoints more are saved, and the first removed, while it takes the first."""

    def __init__(self, run_folder: Path) -> None:
        self._run_folder, self.arrived = run_folder, dict[str, list[str]]()

    def folders(self, _name: str) -> list[str]:
        return list(self.arrived)

    def remove_folder(self, name: str) -> None:
        del self.arrived[name.rpartition("/")[2]]

    def send_folder(self, folder: Path, name: str) -> None:
        first = list_files(folder)
        if not self.arrived:
            for step in (20, 30):
                checkpoint.save(self._run_folder, replace(STATE, step=step), {"w": torch.zeros(4)})
        if list_files(folder) == first:
            self.arrived[name.rpartition("/")[2]] = sorted(first)


def test_a_checkpoint_arrives_though_training_removes_it_meanwhile(home: Path) -> None:
    asked = read_json(TrainRequest, ask_training(home))
    checkpoint.save(asked.run_folder, replace(STATE, step=10), {"w": torch.zeros(4)})
    store = SlowStore(asked.run_folder)
    sender = _Sender(asked, home, store)  # type: ignore[arg-type]
    sender._send_checkpoints()
    assert store.arrived == {"step-000010": ["optimizer.pt", "state.json"]}
    sender._send_checkpoints()
    assert store.arrived == {"step-000030": ["optimizer.pt", "state.json"]}  # 20 was never worth its bytes
    names = sorted(path.name for path in (asked.run_folder / "checkpoints").iterdir())
    assert names == ["step-000020", "step-000030"]


def test_what_a_kill_left_of_a_sending_is_removed(bucket: Bucket, home: Path) -> None:
    asked = read_json(TrainRequest, ask_training(home))
    checkpoint.save(asked.run_folder, replace(STATE, step=10), {"w": torch.zeros(4)})
    folder = asked.run_folder / "checkpoints"
    shutil.copytree(folder / "step-000010", folder / "sending-step-000005")
    with sending(asked, home, bucket.url):
        assert [path.name for path in folder.iterdir()] == ["step-000010"]


def test_the_end_waits_for_a_store_that_is_away_in_the_middle_of_an_adapter(
    bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A twentieth of half a minute away, and of the pause between two tries; whole: `python -m benchmarks.hiccup`."""
    monkeypatch.setattr("training.remote.sending.SEND_SECONDS", 0.5)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")  # botocore waits for some ten seconds itself
    asked = read_json(TrainRequest, ask_training(home))
    with relay(bucket.environment["AWS_ENDPOINT_URL"]) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
        with sending(asked, home, bucket.url):
            whole_adapter = os.urandom(20_000_000)
            with whole_folder(asked.run_folder / "adapter") as folder:
                (folder / "adapter_model.safetensors").write_bytes(whole_adapter)
            (asked.run_folder / RESULT_FILE).write_text("{}")
            way.cut_for(1.5, after=10_000_000)
        assert way.was_cut
    assert "Not sent yet" in caplog.text
    assert f"{RUN}/{RESULT_FILE}" in bucket.names()
    assert bucket.read(f"{RUN}/adapter/adapter_model.safetensors") == whole_adapter


def test_a_store_that_takes_nothing_any_more_is_said(bucket: Bucket, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.remote.sending.SEND_SECONDS", 0.1)
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setattr("training.remote.sending.TRIES", 2)
    asked = read_json(TrainRequest, ask_training(home))
    with relay(bucket.environment["AWS_ENDPOINT_URL"]) as way:
        monkeypatch.setenv("AWS_ENDPOINT_URL", way.url)
        with pytest.raises(RemoteDataError, match="Check AWS_ENDPOINT_URL"), sending(asked, home, bucket.url):
            (asked.run_folder / "adapter.txt").write_text("new")
            way.cut()


def test_asked_to_end_it_sends_its_checkpoint_first(bucket: Bucket, home: Path) -> None:
    request = ask_training(home, epochs=100, checkpoint_steps=1000)
    upload_inputs("train", request, home, bucket.url)
    child = start("train", request, home, bucket)
    wait_for(child, lambda: (home / RUN / "outbox.jsonl").exists() and "train/loss" in (home / RUN / "outbox.jsonl").read_text())
    child.send(signal.SIGTERM)
    assert child.wait() == 143
    (step,) = [int(Path(name).stem.removeprefix("step-")) for name in whole_checkpoints(bucket)]
    assert f"A checkpoint at step {step} of 300 is kept" in child.said.read_text()


def test_a_killed_evaluation_goes_on_its_answers_serve_the_next_and_are_measured_without_a_model(bucket: Bucket, home: Path) -> None:
    trained = train(read_json(TrainRequest, ask_training(home, epochs=2)), StopFlag())
    request = ask_evaluation(home, trained.adapter)
    run = f"{RUN}/{request.parent.name}/"
    upload_inputs("evaluate", request, home, bucket.url)
    before, airflow = bucket.names(), keep(home)
    child = start("evaluate", request, home, bucket)
    assert child.wait() == 0, child.said.read_text()
    pieces = {name for name in bucket.names() - before if name.startswith("models/answers/")}
    assert pieces
    first = read_json(Answered, request.with_name(ANSWERED_FILE))

    for name in bucket.names(run):
        if not name.endswith(REQUEST_FILE):
            bucket.delete(name)
    child = start("evaluate", request, home, bucket)
    assert child.wait() == 0, child.said.read_text()
    assert "at 0 tokens/s" in child.said.read_text()  # nothing was asked again
    assert Answered.model_validate_json(bucket.read(f"{run}{ANSWERED_FILE}")).arms == first.arms
    assert {name for name in bucket.names() if name.startswith("models/answers/")} == pieces

    give_back(home, airflow)
    download_results("evaluate", request, home, bucket.url)
    assert request.with_name(ANSWERED_FILE).exists() and not request.with_name(RESULT_FILE).exists()
    assert {count for name, count in bucket.versions().items() if run not in name} == {1}

    for name in bucket.names(BASE) | bucket.names(f"{RUN}/adapter"):  # measuring needs neither
        bucket.delete(name)
    with pytest.raises(RemoteDataError, match=r"holds no result\.json: the stage has not ended well"):
        download_results("measure", request, home, bucket.url)
    upload_inputs("measure", request, home, bucket.url)
    child = start("measure", request, home, bucket)
    assert child.wait() == 0, child.said.read_text()
    assert not (home / BASE).exists() and not trained.adapter.exists()
    give_back(home, airflow)
    download_results("measure", request, home, bucket.url)
    assert request.with_name(RESULT_FILE).exists() and request.with_name("report.html").exists()
