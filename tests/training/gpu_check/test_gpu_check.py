"""The check of a GPU, tried without one: what it asks for, chooses, and says."""

import argparse
from pathlib import Path

import pytest
import torch

from training.contract import TrainRequest, load_recipe
from training.errors import TrainingError
from training.fit.train import train
from training.gpu_check import __main__ as gpu_check
from training.gpu_check.model import SHAPES, TOP_LOGIT, write_base, write_dataset
from training.gpu_check.trials import figures, style_recipe
from training.models.model import load_base
from training.signals import StopFlag

CPU = torch.device("cpu")


def test_answers_are_given_again_unless_scaling_or_a_token_is_wrong(tmp_path: Path) -> None:
    models, name = tmp_path / "models", gpu_check.BASE
    write_base(models / name, "tiny", CPU)
    dataset = write_dataset(tmp_path / "dataset", rows=16, heldout=20)
    recipe = style_recipe(load_recipe("tiny"), name, precision="bf16", max_steps=4)
    train(TrainRequest(run_folder=tmp_path / "run", dataset=dataset, arm="direct", recipe=recipe, models=models), StopFlag())
    assert len(figures(tmp_path / "run", "train/loss")) == 2  # two steps of eight rows
    said = gpu_check._answer(tmp_path / "run" / "adapter", dataset, models, CPU)
    assert "good 100%, wrong scaling" in said[1] and said[1].endswith("one wrong token 0%")
    assert "wrong scaling 100%" not in said[1]


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
