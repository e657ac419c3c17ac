"""What every command of the training side shares."""

import os
from pathlib import Path

import pytest
from torch._inductor.runtime.cache_dir_utils import cache_dir

from training.command import COMPILED, keep_compiled


@pytest.fixture(autouse=True)
def no_caches_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in COMPILED:
        monkeypatch.setenv(variable, "")  # so that it is put back afterwards
        monkeypatch.delenv(variable)


def test_compiled_kernels_are_kept_beside_the_base_models(tmp_path: Path) -> None:
    keep_compiled(tmp_path)
    assert Path(cache_dir()) == tmp_path / "compiled/inductor"
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "compiled/triton")


def test_where_the_environment_says_is_where_they_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "elsewhere"))
    keep_compiled(tmp_path)
    assert Path(cache_dir()) == tmp_path / "elsewhere"
