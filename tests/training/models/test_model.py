"""Padding and end tokens, the adapter's format, and adapters that are refused."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.tiny_model import make_tiny_model
from tests.training.conftest import recipe
from training.errors import AdapterError, BaseModelError
from training.models.model import (
    Base,
    add_adapter,
    attached,
    check_end_token,
    load_adapter,
    load_base,
    save_adapter,
    set_padding_token,
    trainable,
)

CPU = torch.device("cpu")


@pytest.fixture
def base(models: Path) -> Base:
    return load_base("tiny-random-qwen2", None, "fp32", models, CPU)


def saved_adapter(base: Base, folder: Path) -> Path:
    """An adapter with weights that change something."""
    model = add_adapter(base, recipe())
    with torch.no_grad():
        for index, parameter in enumerate(trainable(model).values()):
            parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index)).bfloat16() / 10)
    save_adapter(model, base, folder)
    return folder


def test_the_padding_token_is_never_the_end_token(base: Base) -> None:
    base.tokenizer.pad_token = "<|im_end|>"
    set_padding_token(base.tokenizer, base.chat)
    assert (base.tokenizer.pad_token, base.chat.end_token) == ("<|endoftext|>", "<|im_end|>")


def test_a_missing_padding_token_is_chosen(base: Base) -> None:
    base.tokenizer.pad_token = None
    set_padding_token(base.tokenizer, base.chat)
    assert base.tokenizer.pad_token == "<|endoftext|>"


def test_a_base_that_does_not_end_on_its_templates_token_is_refused_with_the_fix(base: Base) -> None:
    base.model.config.eos_token_id = base.model.generation_config.eos_token_id = base.tokenizer.convert_tokens_to_ids("<|endoftext|>")
    with pytest.raises(BaseModelError, match=r"'<\|endoftext\|>'.*'<\|im_end\|>', which it cannot learn.*Start from its instruct version"):
        check_end_token(base)


def test_an_end_token_that_only_the_generation_settings_name_is_accepted(base: Base) -> None:
    base.model.config.eos_token_id = base.tokenizer.convert_tokens_to_ids("<|endoftext|>")
    base.model.generation_config.eos_token_id = [base.model.config.eos_token_id, base.chat.end_id]
    check_end_token(base)


def test_the_adapter_is_on_every_linear_layer_but_the_head(base: Base) -> None:
    names = {name.split(".")[-4] for name in trainable(add_adapter(base, recipe()))}
    assert names == {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"}


def test_an_adapter_starts_the_same_from_the_same_seed(models: Path) -> None:
    first, second, other = (
        trainable(add_adapter(load_base("tiny-random-qwen2", None, "fp32", models, CPU), recipe(seed=seed))) for seed in (1, 1, 2)
    )
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_plain_peft_loads_the_adapter_and_finds_the_same_logits(base: Base, tmp_path: Path, models: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    ids = torch.arange(40)[None]
    fresh = AutoModelForCausalLM.from_pretrained(models / "tiny-random-qwen2", dtype=torch.float32)
    bare = fresh(ids).logits
    plain = PeftModel.from_pretrained(fresh, adapter)(ids).logits
    ours = load_adapter(load_base("tiny-random-qwen2", None, "fp32", models, CPU), adapter)(ids).logits
    assert torch.equal(plain, base.model(ids).logits)  # the model that was saved
    assert torch.equal(plain, ours)
    assert not torch.allclose(plain, bare, atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_adapters_take_turns_on_one_base_and_leave_it_as_it_was(base: Base, tmp_path: Path, models: Path, dtype: torch.dtype) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    shared = load_base("tiny-random-qwen2", None, "fp32", models, CPU)
    shared.model.to(dtype)
    ids = torch.arange(40)[None]
    before = {name: parameter.clone() for name, parameter in shared.model.named_parameters()}
    bare, given = shared.model(ids).logits, []
    for _ in range(2):
        with attached(shared, adapter) as model:
            given.append(model(ids).logits)
        after = dict(shared.model.named_parameters())
        assert list(after) == list(before)
        assert all(torch.equal(value, after[name]) for name, value in before.items())
        assert torch.equal(shared.model(ids).logits, bare)
    assert torch.equal(*given)
    expected = base.model(ids).logits.to(dtype)
    rounding = 1e-5 if dtype == torch.float32 else 0.25
    torch.testing.assert_close(given[0], expected, atol=rounding, rtol=0)
    assert not torch.allclose(bare, expected, atol=rounding, rtol=0)


def test_the_adapter_folder_holds_the_adapter_alone_in_bf16(base: Base, tmp_path: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    assert sorted(path.name for path in adapter.iterdir()) == ["adapter_config.json", "adapter_model.safetensors", "base.json"]
    weights = load_file(adapter / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    assert all(".lora_A." in name or ".lora_B." in name for name in weights)
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (4, 4, "tiny-random-qwen2")


def test_an_adapter_of_another_base_is_refused(base: Base, tmp_path: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    make_tiny_model(tmp_path / "models" / "other", seed=1)
    other = load_base("other", None, "fp32", tmp_path / "models", CPU)
    with pytest.raises(AdapterError, match="was trained on tiny-random-qwen2, not on the base other"):
        load_adapter(other, adapter)


def test_a_base_that_was_merged_with_an_adapter_is_another_base(base: Base, tmp_path: Path, models: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(models / "tiny-random-qwen2"), adapter).merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")
    base.tokenizer.save_pretrained(tmp_path / "merged")
    with pytest.raises(AdapterError, match="was trained on tiny-random-qwen2, not on the base merged"):
        load_adapter(load_base("merged", None, "fp32", tmp_path, CPU), adapter)


def test_an_adapter_whose_mark_is_cut_is_refused(base: Base, tmp_path: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    (adapter / "base.json").write_text('{"base": ')
    with pytest.raises(AdapterError, match=r"base\.json cannot be read"):
        load_adapter(base, adapter)


def test_an_adapter_of_another_shape_is_refused_even_without_our_mark(base: Base, tmp_path: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    (adapter / "base.json").unlink()
    make_tiny_model(tmp_path / "models" / "wide", hidden=64)
    with pytest.raises(AdapterError, match="cannot be loaded on wide"):
        load_adapter(load_base("wide", None, "fp32", tmp_path / "models", CPU), adapter)


def test_modules_to_save_is_refused(base: Base, tmp_path: Path) -> None:
    adapter = saved_adapter(base, tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "modules_to_save": ["lm_head"]}))
    with pytest.raises(AdapterError, match=r"modules_to_save = \['lm_head'\]"):
        load_adapter(base, adapter)


def test_a_folder_without_an_adapter_is_refused(base: Base, tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match="holds no adapter"):
        load_adapter(base, tmp_path)


def test_a_base_with_broken_weights_is_one_clear_error(tmp_path: Path, models: Path) -> None:
    shutil.copytree(models / "tiny-random-qwen2", tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(BaseModelError, match="broken cannot be loaded"):
        load_base("broken", None, "fp32", tmp_path, CPU)
