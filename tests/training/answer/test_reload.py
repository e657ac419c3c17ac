"""An adapter that is loaded otherwise than it was scored is found, and rounding is not taken for it."""

import json
from pathlib import Path

import pytest
import torch

from tests.training.conftest import recipe
from training.answer.generate import Answer, answer_batch
from training.answer.reload import Compared, compare, reloaded_share, tolerance
from training.contract import Answering
from training.models.model import Base, add_adapter, attached, load_base, save_adapter, trainable

CPU = torch.device("cpu")
PROMPTS = [[(7 * number + index) % 200 for index in range(4 + number)] for number in range(5)]


Scored = tuple[Base, Path, list[Answer]]


@pytest.fixture
def scored(models: Path, tmp_path: Path) -> Scored:
    """What was scored: a tiny model's answers with an adapter of random weights, saved in `tmp_path`; and the base alone."""
    base = load_base("tiny-random-qwen2", None, "fp32", models, CPU)
    model = add_adapter(base, recipe()).eval()
    with torch.no_grad():
        for number, parameter in enumerate(trainable(model).values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)).bfloat16() / 4)
    save_adapter(model, base, tmp_path / "adapter")
    answers = answer_batch(model, base, PROMPTS, [6] * len(PROMPTS))
    return load_base("tiny-random-qwen2", None, "fp32", models, CPU), tmp_path / "adapter", answers


def test_an_adapter_gives_its_answers_again_in_plain_peft(scored: Scored) -> None:
    base, adapter, answers = scored
    assert reloaded_share(base, adapter, PROMPTS, answers) == 1.0


def test_it_is_taken_off_the_base_again(scored: Scored) -> None:
    base, adapter, answers = scored
    before = {name: parameter.clone() for name, parameter in base.model.named_parameters()}
    reloaded_share(base, adapter, PROMPTS, answers)
    after = dict(base.model.named_parameters())
    assert set(before) == set(after) and all(torch.equal(value, after[name]) for name, value in before.items())


def test_an_adapter_read_with_another_scaling_does_not(scored: Scored) -> None:
    base, adapter, answers = scored
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": config["lora_alpha"] / 4}))
    assert reloaded_share(base, adapter, PROMPTS, answers) < 0.5


def test_one_answer_with_a_token_of_another_model_is_counted(scored: Scored) -> None:
    base, adapter, answers = scored
    other = Answer("", [answers[2].ids[0], (answers[2].ids[1] + 1) % 200, *answers[2].ids[2:]], answers[2].finished)
    assert reloaded_share(base, adapter, PROMPTS, [*answers[:2], other, *answers[3:]]) == 0.8


def test_how_far_a_token_is_ahead_or_behind(models: Path) -> None:
    model = load_base("tiny-random-qwen2", None, "fp32", models, CPU).model.eval()
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1]
    best, second = logits.topk(2).indices.tolist()
    ahead = float(logits[best] - logits[second])
    (first,), (other,) = (compare(model, [(PROMPTS[0], [token])], "eager") for token in (best, second))
    assert [first.lead.item(), other.lead.item()] == pytest.approx([ahead, -ahead], rel=1e-4)
    assert [first.gap.item(), other.gap.item()] == pytest.approx([0.0, ahead], rel=1e-4)


def test_what_counts_as_rounding_grows_with_the_logits() -> None:
    def ahead(*values: float) -> list[Compared]:
        return [Compared(torch.zeros(len(values)), torch.tensor(values))]

    assert tolerance(ahead(4.0, 0.1), ahead(4.1, 0.0), torch.bfloat16) == pytest.approx(0.6)
    assert tolerance(ahead(4.0), ahead(4.0), torch.bfloat16) == 0.25
    assert tolerance(ahead(4.0), ahead(4.0), torch.float32) == 1e-3
    assert tolerance(ahead(4.0), ahead(9.0), torch.bfloat16) == 5.0


def test_sampled_answers_are_tried_with_the_same_luck(scored: Scored) -> None:
    base, adapter, greedy = scored
    answering, other_seed = Answering(temperature=1.0, seed=5), Answering(temperature=1.0, seed=6)
    with attached(base, adapter) as model:
        answers = answer_batch(model, base, PROMPTS, [6] * len(PROMPTS), answering)
    assert answers != greedy
    assert reloaded_share(base, adapter, PROMPTS, answers, answering) == 1.0
    assert reloaded_share(base, adapter, PROMPTS, greedy, answering) < 0.5
    assert reloaded_share(base, adapter, PROMPTS, answers, other_seed) < 0.5
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": config["lora_alpha"] / 4}))
    assert reloaded_share(base, adapter, PROMPTS, answers, answering) < 0.5
