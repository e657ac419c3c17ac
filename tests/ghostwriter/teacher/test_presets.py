"""Presets of teachers: addresses that can be asked, and no price without the page it stands on."""

import pytest
from pydantic import SecretStr, ValidationError

from ghostwriter.teacher.client import Endpoint
from ghostwriter.teacher.presets import Preset, load_presets


def test_the_teachers_people_have_are_there_and_their_addresses_can_be_asked() -> None:
    presets = load_presets()
    assert list(presets) == ["deepseek", "dashscope", "dashscope-batch", "openai", "siliconflow", "zhipu", "vllm", "llamacpp"]
    for preset in presets.values():
        assert Endpoint(base_url=preset.base_url, key=SecretStr("none")).base_url == preset.base_url


def test_only_what_runs_on_ones_own_machine_is_free() -> None:
    assert [name for name, preset in load_presets().items() if preset.is_free] == ["vllm", "llamacpp"]


def test_a_price_without_its_page_and_date_is_refused() -> None:
    with pytest.raises(ValidationError, match="a price needs all four"):
        Preset.model_validate({"title": "X", "base_url": "https://x.example/v1", "input_price": "0.27"})
