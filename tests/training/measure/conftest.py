"""A dataset, an adapter trained on it, and requests to evaluate it, for tests of answering and of measuring."""

from pathlib import Path

import pytest

from tests.training.conftest import recipe, write_dataset
from training.contract import ArmRequest, EvaluateRequest, TrainRequest, write_json
from training.fit.train import train
from training.signals import StopFlag


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", heldout=10)


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory, models: Path, dataset: Path) -> Path:
    """An adapter trained on the writer's pairs."""
    folder = tmp_path_factory.mktemp("trained")
    return train(TrainRequest(run_folder=folder, dataset=dataset, arm="direct", recipe=recipe(epochs=3), models=models), StopFlag()).adapter


def request(folder: Path, models: Path, dataset: Path, adapter: Path, **changes: object) -> EvaluateRequest:
    folder.mkdir(exist_ok=True)
    arms = (ArmRequest(name="base"), ArmRequest(name="direct", adapter=adapter), ArmRequest(name="few-shot", examples=2))
    fields = {"run_folder": folder, "dataset": dataset, "base": "tiny-random-qwen2", "precision": "fp32", "arms": arms, "models": models}
    made = EvaluateRequest.model_validate(
        {
            **fields,
            "candidate": "direct",
            "ability": False,
            "questions": 10,
            "max_new_tokens": 12,
            "cut_answers": True,
            "batch": 4,
            **changes,
        }
    )
    write_json(made, folder / "request.json")
    return made
