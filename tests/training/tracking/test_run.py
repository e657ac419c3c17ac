"""What reaches a real MLflow server: one run across restarts, a true status, the adapter byte for byte; and what happens without one."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from tests.training.child import Child
from tests.training.relay import relay
from tests.training.tracking.mlflow_server import free_port, silent_server
from training.contract import Tracking, TrainRequest, write_json
from training.errors import DatasetError, TrainingError
from training.fit.train import train
from training.signals import StopFlag
from training.tracking.outbox import Outbox
from training.tracking.run import open_run, send_rest

Make = Callable[..., TrainRequest]


@pytest.fixture
def server(mlflow_uri: str) -> str:
    return mlflow_uri


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorter waits than in earnest."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr("training.tracking.run.CLOSE_SECONDS", 1.0)


def tracking(uri: str, name: str = "train direct", parent: str | None = None) -> Tracking:
    return Tracking(uri=uri, experiment="lamplight", run_name=name, parent_run_id=parent, tags={"ghostwriter.writer": "lamplight"})


def tracked(request: TrainRequest, uri: str) -> TrainRequest:
    request = request.model_copy(update={"tracking": tracking(uri)})
    write_json(request, request.run_folder / "request.json")
    return request


def run_of(uri: str, folder: Path) -> Run:
    return MlflowClient(uri).get_run(json.loads((folder / "tracking.json").read_text())["runs"][""])


def told_losses(uri: str, run_id: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in MlflowClient(uri).get_metric_history(run_id, "train/loss")]


def test_a_training_killed_and_rerun_is_one_run_with_everything_in_it(request_training: Make, server: str, tmp_path: Path) -> None:
    request = tracked(request_training(epochs=10, checkpoint_steps=4), server)
    (request.dataset / "manifest.json").write_text(
        json.dumps({"digest": "d" * 64, "writer": "lamplight", "files": {"direct.jsonl": {"rows": 20}}})
    )
    child = Child(tmp_path / "said.txt", "train", request.run_folder / "request.json")
    while (request.run_folder / "outbox.jsonl").exists() is False or '"step": 9' not in (request.run_folder / "outbox.jsonl").read_text():
        assert child.is_running, child.said.read_text()
        time.sleep(0.002)
    first = run_of(server, request.run_folder)
    child.send(signal.SIGKILL)
    child.wait()
    result = train(request, StopFlag())
    run = run_of(server, request.run_folder)
    assert result.run_id == run.info.run_id == first.info.run_id
    assert (first.info.status, run.info.status) == ("RUNNING", "FINISHED")
    losses = told_losses(server, run.info.run_id)
    assert [step for step, _ in losses] == list(range(1, 31))
    assert losses[-1][1] == result.last_loss
    assert (run.data.params["rank"], run.data.params["learning_rate"], run.data.params["rows"]) == ("4", "0.01", "20")
    assert {"train/learning_rate", "train/gradient_norm", "train/tokens_per_second", "train/tflops", "system/cpu_percent"} <= set(
        run.data.metrics
    )
    assert run.data.tags["ghostwriter.writer"] == "lamplight"
    (dataset,) = run.inputs.dataset_inputs
    assert (dataset.dataset.name, dataset.dataset.digest, dataset.tags[0].value) == ("lamplight", "d" * 32, "training")


def test_the_adapter_comes_back_byte_equal_and_the_base_is_not_there(request_training: Make, server: str, tmp_path: Path) -> None:
    request = tracked(request_training(), server)
    result = train(request, StopFlag())
    client = MlflowClient(server)
    assert sorted(item.path for item in client.list_artifacts(result.run_id)) == ["adapter", "loss.png", "previews.txt"]
    names = sorted(item.path for item in client.list_artifacts(result.run_id, "adapter"))
    assert names == ["adapter/adapter_config.json", "adapter/adapter_model.safetensors", "adapter/base.json"]
    fetched = Path(client.download_artifacts(result.run_id, "adapter", str(tmp_path)))
    for path in result.adapter.iterdir():
        assert (fetched / path.name).read_bytes() == path.read_bytes()


def test_a_crash_leaves_the_run_failed_and_a_repaired_rerun_finishes_the_same_run(request_training: Make, server: str) -> None:
    request = tracked(request_training(), server)
    path = request.dataset / "direct.jsonl"
    good = path.read_text()
    path.write_text("")
    with pytest.raises(DatasetError):
        train(request, StopFlag())
    failed = run_of(server, request.run_folder)
    path.write_text(good)
    result = train(request, StopFlag())
    assert failed.info.status == "FAILED"
    assert result.run_id == failed.info.run_id
    assert run_of(server, request.run_folder).info.status == "FINISHED"


def test_a_stopped_run_is_killed_not_finished(request_training: Make, server: str) -> None:
    request = tracked(request_training(), server)
    stop = StopFlag()
    stop.signal = signal.SIGTERM
    from training.errors import Stopped

    with pytest.raises(Stopped):
        train(request, stop)
    assert run_of(server, request.run_folder).info.status == "KILLED"


def test_children_are_nested_below_their_run(server: str, tmp_path: Path) -> None:
    with open_run(tracking(server, "evaluate"), tmp_path) as run:
        run.metrics({"rep4": 0.25}, child="direct")
        run.end_child("direct")
        run.table({"question": ["a", "b"], "direct": ["c", "<d>"]}, "samples.json")
    client = MlflowClient(server)
    runs = json.loads((tmp_path / "tracking.json").read_text())["runs"]
    child = client.get_run(runs["direct"])
    assert child.data.tags["mlflow.parentRunId"] == runs[""]
    assert (child.info.run_name, child.info.status, child.data.metrics) == ("direct", "FINISHED", {"rep4": 0.25})
    table = json.loads(Path(client.download_artifacts(runs[""], "samples.json", str(tmp_path))).read_text())
    assert table == {"columns": ["question", "direct"], "data": [["a", "c"], ["b", "<d>"]]}


def test_a_run_made_but_not_written_down_is_found_again(server: str, tmp_path: Path) -> None:
    with open_run(tracking(server), tmp_path) as run:
        run_id = run.run_id
    state = json.loads((tmp_path / "tracking.json").read_text())
    (tmp_path / "tracking.json").write_text(json.dumps({**state, "runs": {}}))  # as if killed right after making it
    with open_run(tracking(server), tmp_path) as run:
        assert run.run_id == run_id


def test_one_refused_entry_does_not_hold_up_the_rest(server: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with open_run(tracking(server), tmp_path) as run:
        run.params({"rank": 1})
        run.params({"rank": 2})  # MLflow's params cannot change
        run.metrics({"train/loss": 1.0}, step=1)
    assert "MLflow refused params" in caplog.text
    assert run_of(server, tmp_path).data.metrics == {"train/loss": 1.0}


def test_without_a_server_training_goes_on_and_is_sent_later(request_training: Make, server: str, caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    uri = f"http://127.0.0.1:{port}"
    request = tracked(request_training(), uri)
    result = train(request, StopFlag())
    assert (result.steps, result.run_id) == (3, None)
    assert f"MLflow at {uri} does not take what is sent" in caplog.text
    assert f"python -m training send {request.run_folder}" in caplog.text
    with pytest.raises(TrainingError, match="does not answer"):
        send_rest(request.run_folder)
    with relay(server, port):
        send_rest(request.run_folder)
        run = run_of(uri, request.run_folder)
        assert run.info.status == "FINISHED"
        assert [step for step, _ in told_losses(uri, run.info.run_id)] == [1, 2, 3]


def test_a_server_that_never_answers_does_not_hold_the_training(request_training: Make) -> None:
    with silent_server() as uri:
        result = train(tracked(request_training(), uri), StopFlag())
    assert (result.steps, result.run_id) == (3, None)


def test_a_large_file_arrives_whole_though_the_server_was_away_in_the_middle_of_it(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A thirtieth of half a minute away, and of the waiting that goes with it; whole: `python -m benchmarks.hiccup`."""
    monkeypatch.setattr("training.tracking.run.CLOSE_SECONDS", 2.0)
    monkeypatch.setattr("training.tracking.sender.AGAIN_SECONDS", 0.5)
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(os.urandom(20_000_000))
    with relay(server) as way:
        with open_run(tracking(way.url), tmp_path) as run:
            run.artifact(path, "adapter")
            way.cut_for(1.0, after=10_000_000)
        assert way.was_cut
    assert "does not take what is sent" in caplog.text and "has not got everything" not in caplog.text
    done = run_of(server, tmp_path)
    fetched = MlflowClient(server).download_artifacts(done.info.run_id, f"adapter/{path.name}", str(tmp_path))
    assert (done.info.status, Path(fetched).read_bytes() == path.read_bytes()) == ("FINISHED", True)


def test_a_line_cut_by_a_kill_is_forgotten(tmp_path: Path) -> None:
    (tmp_path / "outbox.jsonl").write_text('{"run": "", "kind": "metrics", "step": 4, "values": {"train/loss": 2.0}}\n{"run": "", "ki')
    outbox = Outbox(tmp_path)
    outbox.add({"run": "", "kind": "metrics", "step": 5, "values": {"train/loss": 1.5}})
    assert outbox.history("train/loss") == {4: 2.0, 5: 1.5}
    assert outbox.last_step() == 5
    assert [item.entry["step"] for item in outbox.pending()] == [4, 5]
    outbox.mark_sent(outbox.pending()[0].end)
    assert [item.entry["step"] for item in outbox.pending()] == [5]
    outbox.close()
