"""Checkpoints: the newest two, read back exactly, passed over when they are broken."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from training.errors import CheckpointError
from training.fit import checkpoint
from training.fit.checkpoint import State

STATE = State("same", step=10, micro_batch=2, tokens=99, seconds=1.5, first_loss=3.0, last_loss=2.0)
CPU = torch.device("cpu")


def optimizer(value: float) -> dict[str, object]:
    return {"masters": {"w": torch.full((1000,), value)}, "adamw": {"state": {}, "param_groups": []}}


def save_three(folder: Path) -> None:
    for step in (10, 20, 30):
        checkpoint.save(folder, replace(STATE, step=step), optimizer(float(step)))


def test_the_newest_is_read_back_and_only_two_are_kept(tmp_path: Path) -> None:
    save_three(tmp_path)
    found = checkpoint.load_newest(tmp_path, "same", CPU)
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
    found = checkpoint.load_newest(tmp_path, "same", CPU)
    assert found is not None and found[0].step == 20
    assert "step-000030 cannot be read" in caplog.text


def test_one_that_was_not_finished_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "step-000040.unfinished").mkdir(parents=True)
    assert checkpoint.load_newest(tmp_path, "same", CPU) is None


def test_one_of_another_training_is_refused(tmp_path: Path) -> None:
    save_three(tmp_path)
    with pytest.raises(CheckpointError, match="another recipe, dataset or base"):
        checkpoint.load_newest(tmp_path, "other", CPU)
