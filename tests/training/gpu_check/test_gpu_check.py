"""The check of a GPU, tried without one: what it asks for, chooses, and says."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from training.errors import TrainingError
from training.gpu_check import __main__ as gpu_check
from training.gpu_check.model import SHAPES, TOP_LOGIT, write_base
from training.models.model import load_base

CPU = torch.device("cpu")
ONE_THREAD = {"OMP_NUM_THREADS": "1"}


def test_all_of_it_is_one_text_to_show_and_says_which_answers_are_right(tmp_path: Path) -> None:
    """The whole check, without a GPU: a training killed at a random step and gone on with, answers right and spoilt."""
    command = [sys.executable, "-m", "training.gpu_check", "--shape", "tiny", "--home", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **ONE_THREAD})
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    said = done.stdout.splitlines()
    assert (said[0], said[-1]) == ("```", "```")
    (killed,) = [line for line in said if line.startswith("killed after step")]
    after, gone_on = map(int, re.findall(r"step (\d+)", killed))
    assert 5 <= after < 16 and gone_on in (4, 8, 12) and gone_on <= after
    assert "16 steps, loss" in next(line for line in said if line.startswith("training: "))
    again = next(line for line in said if line.startswith("given again by plain peft: "))
    assert "good 100%, wrong scaling" in again and again.endswith("one wrong token 0%")
    assert "wrong scaling 100%" not in again


def test_the_head_is_scaled_until_rounding_is_that_of_a_trained_model(tmp_path: Path) -> None:
    base = load_base(str(write_base(tmp_path / "base", "tiny", CPU)), None, "fp32", tmp_path, CPU)
    top = base.model(input_ids=torch.arange(200)[None]).logits[0].float().max(dim=1).values.mean()
    assert float(top.detach()) == pytest.approx(TOP_LOGIT, rel=0.05)


def test_without_a_gpu_it_says_what_to_look_at(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="PyTorch sees no GPU here"):
        gpu_check._require(CPU, argparse.Namespace(shape="7b", home=tmp_path))


@pytest.mark.parametrize(("gib", "expected"), [("79", (256, 4)), ("45", (256, 1)), ("22.5", (64, 2))])
def test_the_largest_recipe_that_fits_the_card_is_tried(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gib: str, expected: tuple[int, int]
) -> None:
    monkeypatch.setattr(gpu_check, "card_bytes", lambda _device: int(float(gib) * 2**30))
    monkeypatch.setattr(gpu_check, "load_config", lambda *_arguments: QWEN_7B)
    chosen = gpu_check._recipe(argparse.Namespace(shape="7b", recipe=None), CPU, tmp_path)
    assert (chosen.rank, chosen.micro_batch) == expected


QWEN_7B = argparse.Namespace(**SHAPES["7b"], tie_word_embeddings=False)
