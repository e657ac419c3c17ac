"""Several processes, here over gloo on the CPU: the same training as one, also after one of them died, also in another number."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training.child import Child
from tests.training.conftest import ROOT, environment, write_dataset
from tests.training.fit.test_train import LONG, adapter, interrupt, losses, steps_done
from training.contract import RESULT_FILE, TrainRequest, TrainResult, read_json
from training.errors import LOST_STATUS, TrainingError
from training.fit.ranks import Nodes, count_ranks, describe
from training.fit.train import train
from training.processes import Processes
from training.signals import StopFlag

Make = Callable[..., TrainRequest]


def in_two(request: TrainRequest) -> Child:
    return Child(request.run_folder.with_suffix(".txt"), "train", request.run_folder / "request.json", "--processes", "2")


def pid_of_rank(request: TrainRequest, rank: int) -> int:
    """The process that trains as this rank."""
    told = str(request.run_folder / "request.json").encode(), f"RANK={rank}".encode()
    for process in Path("/proc").iterdir():
        try:
            arguments, settings = ((process / name).read_bytes().split(b"\0") for name in ("cmdline", "environ"))
        except OSError:
            continue
        if told[0] in arguments and told[1] in settings:
            return int(process.name)
    raise AssertionError(f"no rank {rank}")


def test_two_processes_train_like_one_though_one_dies_and_their_number_changes(
    request_training: Make, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One begins, two go on, one finishes."""
    write_dataset(tmp_path / "dataset", direct=17)  # each epoch's last step has one row: nothing for the second process
    alone, shared = request_training("alone", **LONG), request_training("shared", **LONG)
    train(alone, StopFlag())
    assert interrupt(shared, 9, signal.SIGKILL)[0] == -signal.SIGKILL
    begun = steps_done(shared)
    assert begun < 20
    child = in_two(shared)
    while steps_done(shared) < begun + 5:
        assert child.is_running, child.said.read_text()
        time.sleep(0.002)
    os.kill(pid_of_rank(shared, 1), signal.SIGKILL)
    assert child.wait() == 1
    last = child.said.read_text().splitlines()[-1]
    assert last.startswith("Process 2 of 2 was killed by SIGKILL")
    assert "Going on after step" in child.said.read_text()
    assert steps_done(shared) < 30
    with caplog.at_level("INFO"):
        train(shared, StopFlag())
    assert "Going on after step" in caplog.text
    assert "cannot be read" not in child.said.read_text() + caplog.text
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    assert len(losses(alone)) == 30
    assert read_json(TrainResult, shared.run_folder / RESULT_FILE).tokens == read_json(TrainResult, alone.run_folder / RESULT_FILE).tokens
    for name, tensor in adapter(alone).items():
        assert float((tensor.float() - adapter(shared)[name].float()).abs().max()) < 2e-2


def rendezvous() -> str:
    """An address of this machine where nobody listens yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


def on_two_nodes(request: TrainRequest, others: str) -> list[Child]:
    """The same command on two machines, here both this one, with one process each."""
    arguments = ("train", request.run_folder / "request.json", "--processes", "1", "--nodes", "2", "--rendezvous", rendezvous())
    told = {"OMP_NUM_THREADS": "1"}
    return [
        Child(request.run_folder.with_suffix(f".{others}{index}.txt"), *arguments, environment={**told, "JOB_COMPLETION_INDEX": index})
        for index in ("0", "1")
    ]


def test_two_nodes_train_like_one_and_one_that_dies_ends_the_other_which_goes_on_later(request_training: Make, tmp_path: Path) -> None:
    alone, shared = request_training("alone", **LONG), request_training("shared", **LONG)
    train(alone, StopFlag())
    first, second = on_two_nodes(shared, "killed")
    while steps_done(shared) < 6:
        assert first.is_running, first.said.read_text()
        time.sleep(0.002)
    second.send(signal.SIGKILL)
    assert (first.wait(), second.wait()) == (LOST_STATUS, -signal.SIGKILL)
    assert (
        first.said.read_text().splitlines()[-1].startswith("Process 1 of 2 failed with status 144; what it said stands above. The others")
    )
    assert 6 <= steps_done(shared) < 30
    first, second = on_two_nodes(shared, "again")
    assert (first.wait(), second.wait()) == (0, 0)
    assert "Going on after step" in first.said.read_text()
    assert "Trained 30 steps" in first.said.read_text()
    assert "Trained" not in second.said.read_text()
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)


def test_processes_that_would_go_on_from_different_steps_stop_with_words(request_training: Make) -> None:
    """Two machines, of which the second sees the same folder without the newest checkpoint: here other folders of the same name."""
    ahead, behind = request_training("ahead", **LONG), request_training("behind", **LONG)
    assert interrupt(ahead, 20, signal.SIGKILL)[0] == -signal.SIGKILL
    older, newer = sorted((ahead.run_folder / "checkpoints").glob("step-??????"))
    shutil.copytree(older, behind.run_folder / "checkpoints" / older.name)
    command = [sys.executable, "-m", "training", "train", "request.json", "--processes", "1", "--nodes", "2", "--rendezvous", rendezvous()]
    told = {**environment(), "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen(
            command,
            cwd=seen.run_folder,
            env={**told, "JOB_COMPLETION_INDEX": index},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index, seen in (("0", ahead), ("1", behind))
    ]
    said = [process.communicate(timeout=90)[0] for process in both]
    places = [f"process {number} at step {int(step.name[-6:])} of" for number, step in ((1, newer), (2, older))]
    for words in said:
        assert "The processes would go on from different places" in words and "See that all of them read" in words
        assert all(place in words for place in places)
    assert all(process.returncode for process in both)
    assert steps_done(behind) == 0
    assert not [seen for seen in (ahead, behind) if (seen.run_folder / RESULT_FILE).exists()]


def test_there_is_a_result_only_after_all_processes_have_come_to_the_end(request_training: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    request, there = request_training(), list[tuple[bool, bool]]()

    def wait(_processes: Processes) -> None:
        there.append(((request.run_folder / "adapter").exists(), (request.run_folder / RESULT_FILE).exists()))

    monkeypatch.setattr(Processes, "wait", wait)
    train(request, StopFlag())
    assert there[-1] == (True, False)
    assert (request.run_folder / RESULT_FILE).exists()


def test_a_node_must_know_which_it_is_and_where_the_first_one_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Nodes.of(1, None) == Nodes()
    with pytest.raises(TrainingError, match=r"--rendezvous is 'first'. With --nodes 2 give HOST:PORT of the first machine."):
        Nodes.of(2, "first")
    with pytest.raises(TrainingError, match=r"JOB_COMPLETION_INDEX is ''. Set it to this machine's number, 0 to 1."):
        Nodes.of(2, "first:29500")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "2")
    with pytest.raises(TrainingError, match="JOB_COMPLETION_INDEX is '2'"):
        Nodes.of(2, "first:29500")
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    assert Nodes.of(2, "first:29500") == Nodes(2, 1, "first:29500")


def failure(**facts: Any) -> Any:
    """As the elastic agent describes one."""
    given = {"exitcode": 1, "error_file": "<N/A>", "timestamp": 5, "message": "To enable traceback see: ...", **facts}
    return SimpleNamespace(signal_name=lambda: signal.Signals(-given["exitcode"]).name, **given)


def test_the_process_that_failed_of_itself_is_named_before_those_that_lost_it() -> None:
    lost, said = failure(timestamp=4), failure(error_file="error.json", message={"message": "The disk is full"})
    assert describe({0: lost, 1: said}, 2).startswith("Process 2 of 2 failed: The disk is full. ")
    assert describe({0: lost, 1: failure(exitcode=-9)}, 2).startswith("Process 2 of 2 was killed by SIGKILL ")
    assert describe({0: said, 1: failure(exitcode=-15, timestamp=3)}, 2).startswith("Process 1 of 2 failed: The disk is full. ")
    assert describe({0: lost}, 2).startswith("Process 1 of 2 failed with status 1; what it said stands above. ")


def test_one_process_is_started_for_each_gpu_and_none_by_one_of_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    assert (count_ranks(None), count_ranks(2)) == (4, 2)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    assert count_ranks(None) == 1
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert count_ranks(2) == 1
