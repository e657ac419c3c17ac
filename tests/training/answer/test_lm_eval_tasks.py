"""lm-eval's tasks as an optional extra: what is said without it, and, where it is installed, a task with a local file."""

import importlib.util
import shutil
from pathlib import Path

import pytest

from tests.training.conftest import ROOT, answer_and_measure, write_dataset
from training.contract import ArmRequest, EvaluateRequest
from training.errors import TrainingError
from training.measure.evaluate import evaluate
from training.signals import StopFlag

TASK = "docs/lm_eval_task.yaml"
INSTALLED = importlib.util.find_spec("lm_eval") is not None


def request(folder: Path, models: Path, *tasks: str) -> EvaluateRequest:
    return EvaluateRequest(
        run_folder=folder / "run",
        dataset=write_dataset(folder / "dataset"),
        base="tiny-random-qwen2",
        precision="fp32",
        arms=(ArmRequest(name="base"), ArmRequest(name="few-shot", examples=1)),
        candidate="base",
        questions=3,
        max_new_tokens=4,
        cut_answers=True,
        ability=False,
        lm_eval=tasks,
        models=models,
    )


@pytest.mark.skipif(INSTALLED, reason="this is what is said when the extra is not installed")
def test_without_the_extra_the_evaluation_says_how_to_install_it_before_anything_is_asked(tmp_path: Path, models: Path) -> None:
    with pytest.raises(TrainingError, match=r"asks for arc_easy of lm-eval, which is not installed.*requirements/lm-eval\.txt"):
        evaluate(request(tmp_path, models, "arc_easy"), StopFlag())
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(not INSTALLED, reason="requirements/lm-eval.txt is an optional extra")
@pytest.mark.filterwarnings("ignore")  # the extra's own
def test_a_task_from_a_local_file_is_a_measure_of_every_arm_without_examples(
    tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    own = shutil.copytree(models, tmp_path / "models")
    result = answer_and_measure(request(tmp_path, own, TASK))
    found = result.scores["base"]["lm_eval/opposites/acc"]
    assert found.questions == 8 and 0 <= found.value <= 1
    assert "lm_eval/opposites/acc" not in result.scores["few-shot"]
    assert "lm_eval/opposites/acc" in (tmp_path / "run" / "report.html").read_text()
    monkeypatch.setattr("training.answer.lm_eval_tasks.run_task", None)  # what is kept is not run again
    (tmp_path / "run" / "result.json").unlink()
    (tmp_path / "run" / "answered.json").unlink()
    assert answer_and_measure(request(tmp_path, own, TASK)).scores == result.scores


@pytest.mark.skipif(not INSTALLED, reason="requirements/lm-eval.txt is an optional extra")
@pytest.mark.filterwarnings("ignore")
def test_an_unknown_task_is_named_before_anything_is_asked(tmp_path: Path, models: Path) -> None:
    with pytest.raises(TrainingError, match=r"lm-eval has no task gone\.yaml\."):
        evaluate(request(tmp_path, models, "gone.yaml"), StopFlag())
    assert not (tmp_path / "run").exists()
