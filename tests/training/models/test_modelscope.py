"""A base from ModelScope: downloaded once, the same as from elsewhere, going on after a kill, and in words when it fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.conftest import ROOT
from tests.training.models.modelscope_hub_double import TOKEN, ModelScope, modelscope_hub
from training.errors import BaseModelError
from training.models.base_models import folders_of, prepare
from training.models.model import load_base
from training.recipe import Recipe

BASE = "modelscope:tiny/random"


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the library keeps a login; and that it waits for nothing."""
    monkeypatch.setenv("MODELSCOPE_HOME", str(tmp_path / "login"))
    monkeypatch.setenv("HOME", str(tmp_path))


def start(models: Path, url: str, secrets: str = "") -> subprocess.Popen[str]:
    """`python -m training prepare`, as a launcher would start it."""
    file = models.parent / "training.env"
    file.write_text(secrets)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(models.parent), "MODELSCOPE_ENDPOINT": url}
    command = [sys.executable, "-m", "training", "prepare", BASE, "--models", str(models)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env={**environment, "GHOSTWRITER_TRAINING_SECRETS": str(file)}, stdout=pipe, stderr=pipe, text=True
    )


def test_a_base_is_downloaded_once_and_is_the_same_as_from_elsewhere(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with modelscope_hub(ModelScope(models / "tiny-random-qwen2")) as hub:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
        folder = Path(prepare(BASE, tmp_path))
        assert folder == folders_of(BASE, tmp_path)[0] == tmp_path / "modelscope" / "tiny--random"
        fetched = len(hub.fetched)
        there, here = (load_base(name, None, "fp32", tmp_path, torch.device("cpu")) for name in (str(models / "tiny-random-qwen2"), BASE))
        assert len(hub.fetched) == fetched
    assert there.fingerprint == here.fingerprint
    assert not list((tmp_path / "modelscope").glob("*.unfinished"))


def test_a_killed_download_goes_on_where_it_was_and_says_how_far_it_is(tmp_path: Path) -> None:
    served, models = tmp_path / "served", tmp_path / "models"
    served.mkdir()
    (served / "config.json").write_text("{}")
    (served / "model.safetensors").write_bytes(os.urandom(3_000_000))
    with modelscope_hub(ModelScope(served, bytes_a_second=400_000)) as hub:
        killed = start(models, hub.url)
        part = models / "modelscope" / "tiny--random.unfinished" / "model.safetensors.incomplete"
        deadline = time.monotonic() + 40
        while not (part.exists() and part.stat().st_size > 200_000):
            assert time.monotonic() < deadline, killed.communicate(timeout=1)
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=60)
        assert not (models / "modelscope" / "tiny--random").exists()
        hub.bytes_a_second = 0.0
        out, errors = start(models, hub.url).communicate(timeout=60)
    folder = models / "modelscope" / "tiny--random"
    assert out.splitlines()[-1] == str(folder), errors
    assert "model.safetensors: whole, 3 MB" in out
    assert [first > 0 for name, first in hub.ranges if name == "model.safetensors"] == [True]
    assert (folder / "model.safetensors").read_bytes() == (served / "model.safetensors").read_bytes()


def test_a_base_behind_terms_is_fetched_with_the_token_of_the_file_and_said_without(tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "config.json").write_text("{}")
    with modelscope_hub(ModelScope(served, is_gated=True)) as hub:
        refused = start(tmp_path / "a", hub.url).communicate(timeout=60)
        given = start(tmp_path / "b", hub.url, f"MODELSCOPE_API_TOKEN={TOKEN}\n").communicate(timeout=60)
    assert "put MODELSCOPE_API_TOKEN=... into the file training.env" in refused[1]
    assert given[0].splitlines()[-1] == str(tmp_path / "b" / "modelscope" / "tiny--random"), given
    assert TOKEN not in str(given)


def test_a_name_that_is_not_there_is_said(models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with modelscope_hub(ModelScope(models / "tiny-random-qwen2")) as hub:
        monkeypatch.setenv("MODELSCOPE_ENDPOINT", hub.url)
        with pytest.raises(BaseModelError, match="ModelScope has no model tiny/other"):
            prepare("modelscope:tiny/other", tmp_path)
        assert Path(prepare(f"{BASE}@v1", tmp_path)).name == "tiny--random--v1"
    with pytest.raises(BaseModelError, match="names no base model: write modelscope:OWNER/NAME"):
        prepare("modelscope:../x/y", tmp_path)


def test_a_hub_that_cannot_be_reached_is_said_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from modelscope_hub import HubApi, NetworkError

    def unreachable(*_: object, **__: object) -> None:
        raise NetworkError("no route")

    monkeypatch.setattr(HubApi, "download_repo", unreachable)  # the library itself tries for half a minute
    with pytest.raises(BaseModelError, match=r"cannot be reached .NetworkError.. Name a mirror in MODELSCOPE_ENDPOINT or a proxy in HTTPS"):
        prepare(BASE, tmp_path)


def test_a_revision_is_written_behind_the_name() -> None:
    with pytest.raises(ValueError, match='of ModelScope write base = "modelscope:tiny/random@REVISION"'):
        Recipe.model_validate({"base": BASE, "revision": "v1"})
