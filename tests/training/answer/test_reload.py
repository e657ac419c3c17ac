"""An adapter that is loaded otherwise than it was scored is found, and rounding is not taken for it."""

import json
from pathlib import Path

import pytest
import torch

from tests.training.conftest import recipe
from training.answer.generate import Answer, answer_batch
from training.answer.reload import NEAR_TIE, behind, reloaded_share
from training.contract import ArmRequest, EvaluateRequest
from training.models.model import add_adapter, load_base, save_adapter, trainable

CPU = torch.device("cpu")
PROMPTS = [[(7 * number + index) % 200 for index in range(4 + number)] for number in range(5)]


@pytest.fixture
def scored(models: Path, tmp_path: Path) -> tuple[EvaluateRequest, Path, list[Answer], int]:
    """What was scored: a tiny model's answers with an adapter of random weights, saved in `tmp_path`."""
    base = load_base("tiny-random-qwen2", None, "fp32", models, CPU)
    model = add_adapter(base, recipe()).eval()
    with torch.no_grad():
        for number, parameter in enumerate(trainable(model).values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)).bfloat16() / 4)
    save_adapter(model, base, tmp_path / "adapter")
    answers = answer_batch(model, base, PROMPTS, [6] * len(PROMPTS))
    arms = (ArmRequest(name="direct", adapter=tmp_path / "adapter"),)
    fields = {"run_folder": tmp_path, "dataset": tmp_path, "base": "tiny-random-qwen2", "precision": "fp32", "arms": arms}
    return (
        EvaluateRequest.model_validate({**fields, "candidate": "direct", "models": models}),
        tmp_path / "adapter",
        answers,
        base.chat.end_id,
    )


def test_an_adapter_gives_its_answers_again_in_plain_peft(scored: tuple[EvaluateRequest, Path, list[Answer], int]) -> None:
    request, adapter, answers, end_id = scored
    assert reloaded_share(request, adapter, PROMPTS, answers, end_id) == 1.0


def test_an_adapter_read_with_another_scaling_does_not(scored: tuple[EvaluateRequest, Path, list[Answer], int]) -> None:
    request, adapter, answers, end_id = scored
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": config["lora_alpha"] / 4}))
    assert reloaded_share(request, adapter, PROMPTS, answers, end_id) < 0.5


def test_one_answer_with_a_token_of_another_model_is_counted(scored: tuple[EvaluateRequest, Path, list[Answer], int]) -> None:
    request, adapter, answers, end_id = scored
    other = Answer("", [answers[2].ids[0], (answers[2].ids[1] + 1) % 200, *answers[2].ids[2:]], answers[2].finished)
    assert reloaded_share(request, adapter, PROMPTS, [*answers[:2], other, *answers[3:]], end_id) == 0.8


def test_how_far_a_token_is_behind_the_first_choice(models: Path) -> None:
    model = load_base("tiny-random-qwen2", None, "fp32", models, CPU).model.eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1]
    best, second = logits.topk(2).indices.tolist()
    assert behind(model, PROMPTS[0], [best]) == 0.0
    assert behind(model, PROMPTS[0], [second]) == pytest.approx(float(logits[best] - logits[second]), rel=1e-4)
    assert NEAR_TIE[torch.float32] < NEAR_TIE[torch.bfloat16]
