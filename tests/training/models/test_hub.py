"""A base by its hub id: fetched once into the library's cache, going on after a kill, and in words when it fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from tests.training.conftest import ROOT
from tests.training.models.hub_double import COMMIT, TOKEN, Hub, running_hub
from training.models.hub import BROKEN_OFF_SECONDS
from training.models.model import load_base

BASE = "tiny/random"
LOAD = """
import sys, torch
from pathlib import Path
from training.command import guarded
def work():
    from training.models.model import load_base, load_config
    for _ in range(2):
        print(load_config("tiny/random", None, Path("models")).model_type, flush=True)
        base = load_base("tiny/random", None, "fp32", Path("models"), torch.device("cpu"))
        print(base.fingerprint, base.model.name_or_path, flush=True)
        sys.stdin.readline()
sys.exit(guarded(work))
"""


@pytest.fixture(scope="module")
def fingerprint(models: Path) -> str:
    """Of the model that the hub serves."""
    return load_base(str(models / "tiny-random-qwen2"), None, "fp32", models, torch.device("cpu")).fingerprint


def start(tmp_path: Path, url: str, *command: str, secrets: str = "") -> subprocess.Popen[str]:
    """A process of the training side, as a launcher would start it."""
    file = tmp_path / "training.env"
    file.write_text(secrets)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "HF_HOME": str(tmp_path / "cache")}
    environment |= {"HF_ENDPOINT": url, "GHOSTWRITER_TRAINING_SECRETS": str(file)}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def prepare(tmp_path: Path, url: str, base: str = BASE, secrets: str = "") -> subprocess.Popen[str]:
    return start(tmp_path, url, "-m", "training", "prepare", base, "--models", str(tmp_path / "models"), secrets=secrets)


def test_a_base_is_loaded_by_its_hub_id_and_again_where_the_hub_is_away(models: Path, tmp_path: Path, fingerprint: str) -> None:
    with running_hub(Hub(models / "tiny-random-qwen2")) as hub:
        loads = start(tmp_path, hub.url, "-c", LOAD)
        assert loads.stdout
        first = [loads.stdout.readline().strip() for _ in range(4)]
    away = time.monotonic()
    again, errors = loads.communicate("\n\n", timeout=120)
    loaded = ["qwen2", f"{fingerprint} {BASE}"]
    assert [line for line in first if "whole" not in line] == again.splitlines() == loaded, errors
    assert time.monotonic() - away < 15, "transformers asks a hub that is away for each file"


def test_of_a_killed_download_whole_files_are_kept_and_parts_are_not(tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.mkdir()
    (served / "config.json").write_text("{}")
    (served / "model.safetensors").write_bytes(os.urandom(24_000_000))  # the library writes 10 MB at a time
    (served / "model.onnx").write_bytes(bytes(9))
    with running_hub(Hub(served, bytes_a_second=8_000_000)) as hub:
        killed, deadline = prepare(tmp_path, hub.url), time.monotonic() + 40
        while not any(part.stat().st_size > 1_000_000 for part in tmp_path.glob("cache/hub/*/blobs/*.incomplete")):
            assert time.monotonic() < deadline, killed.communicate(timeout=1)
            time.sleep(0.05)
        killed.send_signal(signal.SIGKILL)
        killed.communicate(timeout=60)
        (part,) = tmp_path.glob("cache/hub/*/blobs/*.incomplete")
        os.utime(part, (time.time() - 2 * BROKEN_OFF_SECONDS,) * 2)
        hub.bytes_a_second = 0.0
        out, errors = prepare(tmp_path, hub.url).communicate(timeout=60)
    assert out.splitlines()[-1] == BASE, errors
    assert "tiny/random: whole, 24 MB" in out
    assert sorted(hub.fetched) == ["config.json", "model.safetensors", "model.safetensors"]
    whole = next(tmp_path.glob(f"cache/hub/*/snapshots/{COMMIT}"))
    assert (whole / "model.safetensors").read_bytes() == (served / "model.safetensors").read_bytes()
    assert not part.exists()


@pytest.mark.parametrize(
    ("base", "words"),
    [(BASE, "put HF_TOKEN=... into the file training.env"), ("tiny/other", "The hub has no model tiny/other. Copy its name")],
)
def test_what_the_hub_does_not_give_out_is_said_with_what_to_do(models: Path, tmp_path: Path, base: str, words: str) -> None:
    with running_hub(Hub(models / "tiny-random-qwen2", is_gated=True)) as hub:
        refused = prepare(tmp_path, hub.url, base).communicate(timeout=60)
    assert words in refused[1] and len(refused[1].splitlines()) == 1


def test_a_base_behind_terms_is_fetched_with_the_token_of_the_file(models: Path, tmp_path: Path) -> None:
    with running_hub(Hub(models / "tiny-random-qwen2", is_gated=True)) as hub:
        out, errors = prepare(tmp_path, hub.url, secrets=f"HF_TOKEN={TOKEN}\n").communicate(timeout=60)
    assert out.splitlines()[-1] == BASE and errors == "", errors
    assert TOKEN not in out


def test_a_hub_that_is_away_is_said_with_what_to_do(tmp_path: Path) -> None:
    _, errors = prepare(tmp_path, "http://127.0.0.1:9").communicate(timeout=60)
    assert errors.startswith("The hub cannot be reached (ConnectError). Name a mirror in HF_ENDPOINT or a proxy in HTTPS_PROXY")
