"""What the command has imported when it answers, and a stage when its model is loaded: what only its end needs comes at its end."""

import subprocess
import sys
from pathlib import Path

from tests.training.conftest import ROOT, environment

PROGRAM = """
import sys
from pathlib import Path
import training.arithmetic.examine, training.fit.train, training.measure.evaluate
import torch
from training.models.model import load_base, load_config
load_config(sys.argv[1], None, Path(sys.argv[1]))
load_base(sys.argv[1], None, "fp32", Path(sys.argv[1]), torch.device("cpu"))
print(sorted({"matplotlib", "mlflow", "pandas", "peft", "scipy", "sklearn"} & set(sys.modules)))
import sklearn.linear_model
print(sklearn.linear_model.LogisticRegression.__name__)
"""


def test_pictures_and_classifier_are_imported_after_the_model(models: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, models / "tiny-random-qwen2"], cwd=ROOT, env=environment(), capture_output=True, text=True
    )
    assert done.stdout.splitlines() == ["[]", "LogisticRegression"], done.stderr


def test_the_command_answers_before_it_imports_anything_large() -> None:
    program = "import sys, training.__main__; print(sorted({'numpy', 'pydantic', 'torch'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr
