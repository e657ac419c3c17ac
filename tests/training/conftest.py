"""A tiny random model, datasets of invented rows, and the training command as a real process."""

import json
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from tests.tiny_model import make_tiny_model
from tests.training.child import PRELOADED
from tests.training.tracking.mlflow_server import mlflow_server
from training.contract import EvaluateRequest, EvaluateResult, Recipe, TrainRequest, load_recipe, write_json
from training.measure.evaluate import evaluate, measure
from training.signals import StopFlag

os.environ.update(TQDM_DISABLE="1", TRANSFORMERS_VERBOSITY="error")  # as a stage sets them before its libraries are imported
multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)  # before anything starts the server
torch.set_num_threads(1)  # as in the processes below: equal sums, and no waiting for a second core
ROOT = Path(__file__).parents[2]
WORDS = ["lamp", "sea", "gull", "keeper", "storm", "tea", "rope", "bell", "tide", "fog", "rock", "boat", "night", "wick", "glass", "stair"]


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the tiny model in it."""
    folder = tmp_path_factory.mktemp("models")
    make_tiny_model(folder / "tiny-random-qwen2")
    return folder


def pair(question: str, answer: str) -> str:
    """A dataset row as a line."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return json.dumps({"messages": messages}, ensure_ascii=False) + "\n"


def sentence(number: int, words: int) -> str:
    """An invented sentence; each number gives another."""
    return " ".join(WORDS[(number * 7 + index * (number % 5 + 1)) % len(WORDS)] for index in range(words)) + "."


def write_dataset(folder: Path, direct: int = 20, heldout: int = 8) -> Path:
    """A dataset folder with `direct` training pairs and `heldout` held-out ones, of differing lengths."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [pair(f"Why {sentence(number, 3)}", sentence(number, 4 + number % 9)) for number in range(direct + heldout)]
    (folder / "direct.jsonl").write_text("".join(lines[:direct]), encoding="utf-8")
    (folder / "heldout.jsonl").write_text("".join(lines[direct:]), encoding="utf-8")
    return folder


def recipe(**changes: object) -> Recipe:
    """The recipe `tiny`, with changes."""
    return Recipe.model_validate({**load_recipe("tiny").model_dump(), **changes})


@pytest.fixture
def request_training(tmp_path: Path, models: Path) -> Callable[..., TrainRequest]:
    """Make (and write) a request: `request_training("run", epochs=2)`; the dataset is `tmp_path/dataset`, made if it is not there."""

    def make(name: str = "run", **changes: object) -> TrainRequest:
        dataset = tmp_path / "dataset"
        if not dataset.exists():
            write_dataset(dataset)
        request = TrainRequest(run_folder=tmp_path / name, dataset=dataset, arm="direct", recipe=recipe(**changes), models=models)
        request.run_folder.mkdir(exist_ok=True)
        write_json(request, request.run_folder / "request.json")
        return request

    return make


def answer_and_measure(request: EvaluateRequest) -> EvaluateResult:
    """A whole evaluation: both of its stages."""
    evaluate(request, StopFlag())
    return measure(request, StopFlag())


def without_answers(models: Path, folder: Path) -> Path:
    """A models folder of its own, so that nothing is known of any model."""
    return shutil.copytree(models, folder, ignore=shutil.ignore_patterns("answers"))


def kept_answers(models: Path) -> list[Path]:
    """Files with answers in them."""
    return [path for path in (models / "answers").glob("*.jsonl") if b'"text"' in path.read_bytes()]


def environment() -> dict[str, str]:
    """What a launcher gives: little."""
    return {**{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}


@pytest.fixture(scope="session")
def mlflow_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real MLflow server, started once: that takes ten seconds of a core."""
    with mlflow_server(tmp_path_factory.mktemp("mlflow")) as uri:
        yield uri


@pytest.fixture(autouse=True)
def _quiet_mlflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """MLflow looks for a git program, and says so."""
    monkeypatch.setenv("GIT_PYTHON_REFRESH", "quiet")
    yield
