"""Checkpoints: the newest two, read back exactly, passed over when they are broken."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.errors import CheckpointError
from training.fit import checkpoint
from training.fit.checkpoint import Saver, State

STATE = State("same", step=10, micro_batch=2, tokens=99, seconds=1.5, first_loss=3.0, last_loss=2.0)


def optimizer(value: float) -> dict[str, object]:
    return {"masters": {"w": torch.full((1000,), value)}, "adamw": {"state": {}, "param_groups": []}}


def save_three(folder: Path) -> None:
    for step in (10, 20, 30):
        checkpoint.save(folder, replace(STATE, step=step), optimizer(float(step)))


def test_the_newest_is_read_back_and_only_two_are_kept(tmp_path: Path) -> None:
    save_three(tmp_path)
    found = checkpoint.load_newest(tmp_path, "same")
    assert found is not None
    assert found[0] == replace(STATE, step=30)
    assert found[1]["masters"]["w"].tolist() == [30.0] * 1000
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["step-000020", "step-000030"]


@pytest.mark.parametrize("file", ["optimizer.pt", "state.json"])
@pytest.mark.parametrize("damage", ["cut", "empty", "text", "gone"])
def test_an_unreadable_one_is_said_and_the_one_before_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, damage: str
) -> None:
    save_three(tmp_path)
    path = tmp_path / "checkpoints" / "step-000030" / file
    content = path.read_bytes()
    path.unlink()
    if damage != "gone":
        path.write_bytes({"cut": content[: len(content) // 2], "empty": b"", "text": b"text"}[damage])
    found = checkpoint.load_newest(tmp_path, "same")
    assert found is not None and found[0].step == 20
    assert "step-000030 cannot be read" in caplog.text


def test_one_that_was_not_finished_is_not_seen_and_swept_away(tmp_path: Path) -> None:
    half = tmp_path / "checkpoints" / "step-000040.unfinished"
    half.mkdir(parents=True)
    (half / "optimizer.pt").write_bytes(b"half")
    assert checkpoint.load_newest(tmp_path, "same") is None
    checkpoint.remove_halves(tmp_path)
    assert list((tmp_path / "checkpoints").iterdir()) == []


def test_when_none_can_be_read_nothing_begins_anew(tmp_path: Path) -> None:
    save_three(tmp_path)
    for path in (tmp_path / "checkpoints").rglob("optimizer.pt"):
        path.write_bytes(b"cut")
    with pytest.raises(CheckpointError, match=r"None of the 2 checkpoints in .* can be read"):
        checkpoint.load_newest(tmp_path, "same")


def test_memory_that_is_full_does_not_make_a_checkpoint_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_three(tmp_path)

    def load(*_arguments: object, **_others: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("torch.load", load)
    with pytest.raises(torch.OutOfMemoryError):
        checkpoint.load_newest(tmp_path, "same")


def test_training_may_go_on_while_a_checkpoint_is_written(tmp_path: Path) -> None:
    live = {"masters": {"w": torch.zeros(3_000_000)}, "adamw": {"state": {0: {"step": torch.zeros(())}}, "param_groups": []}}
    saver = Saver(tmp_path)
    for step in (10, 20):
        live["masters"]["w"].fill_(step)
        saver.begin(replace(STATE, step=step), live)
        live["masters"]["w"].fill_(-1.0)
    saver.wait()
    for step in (20, 10):
        found = checkpoint.load_newest(tmp_path, "same")
        assert found is not None and found[0].step == step
        assert found[1]["masters"]["w"].unique().tolist() == [step]
        shutil.rmtree(tmp_path / "checkpoints" / f"step-{step:06d}")


def test_what_goes_wrong_while_it_is_written_is_raised_where_training_stands(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file where the folder should be")
    saver = Saver(tmp_path)
    saver.begin(STATE, optimizer(1.0))
    with pytest.raises(OSError, match="checkpoints"):
        saver.wait()
    saver.wait()  # it is told once


def test_one_of_another_training_is_refused(tmp_path: Path) -> None:
    save_three(tmp_path)
    with pytest.raises(CheckpointError, match="another recipe, dataset or base"):
        checkpoint.load_newest(tmp_path, "other")
