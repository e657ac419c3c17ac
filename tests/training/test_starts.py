"""What a stage has imported when its model is loaded: what only its end needs comes at its end."""

import subprocess
import sys

from tests.training.conftest import ROOT, environment

PROGRAM = """
import sys
import training.arithmetic.examine, training.fit.train, training.measure.evaluate
from training.models.model import without_scikit_learn
with without_scikit_learn():
    from transformers import AutoModelForCausalLM
print(sorted({"matplotlib", "mlflow", "pandas", "peft", "sklearn"} & set(sys.modules)))
import sklearn.linear_model
print(sklearn.linear_model.LogisticRegression.__name__)
"""


def test_pictures_and_classifier_are_imported_after_the_model() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, env=environment(), capture_output=True, text=True)
    assert done.stdout.splitlines() == ["[]", "LogisticRegression"], done.stderr
