"""What models computed before is kept by what decides it, and not for ever."""

import os
from pathlib import Path

import pytest

from training.answer import kept_rows
from training.answer.kept_rows import KeptRows


def rows(folder: Path, model: str) -> list[dict[str, int]]:
    computed: list[int] = []

    def compute(items: "list[int]") -> "list[dict[str, int]]":
        computed.extend(items)
        return [{"twice": 2 * item} for item in items]

    found = KeptRows(folder, model).rows([1, 2], 8, compute, lambda _done: None)
    assert found == [{"twice": 2}, {"twice": 4}]
    return computed


def test_they_are_computed_once_for_each_model(tmp_path: Path) -> None:
    assert rows(tmp_path, "base") == [1, 2]
    assert rows(tmp_path, "base") == []
    assert rows(tmp_path, "adapter") == [1, 2]


def test_a_model_nobody_asks_any_more_goes_when_there_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_rows, "MOST_BYTES", 1)
    for model in ("base", "old champion"):
        rows(tmp_path, model)
    for path in tmp_path.iterdir():
        os.utime(path, (0, 0))
    assert rows(tmp_path, "base") == []  # a use
    KeptRows.prune(tmp_path)
    assert rows(tmp_path, "base") == [] and rows(tmp_path, "old champion") == [1, 2]
