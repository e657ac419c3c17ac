"""A night whose training and evaluation have ended, with its runs in MLflow."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mlflow import MlflowClient

from ghostwriter.judging.promote import ADAPTER_FILE
from ghostwriter.snapshot import write_snapshot
from ghostwriter.tasks.stages import judge, promote
from ghostwriter.writer import Writer
from training.contract import ArmRequest, EvaluateRequest, EvaluateResult, Recipe, TrainRequest, TrainResult, write_json

NIGHTLY = SimpleNamespace(run_type="asset_triggered", triggering_user_name=None)


def new_run(client: MlflowClient, **tags: str) -> str:
    experiment = client.get_experiment_by_name("lamplight")
    assert experiment
    return str(client.create_run(experiment.experiment_id, tags=tags).info.run_id)


class Night:
    """A finished training and evaluation, as the stages before leave them."""

    def __init__(self, client: MlflowClient, folder: Path, weights: bytes, result: EvaluateResult, base: str = "tiny") -> None:
        adapter, evaluated = folder / "adapter", folder / "evaluation"
        adapter.mkdir(parents=True)
        evaluated.mkdir()
        (adapter / ADAPTER_FILE).write_bytes(weights)
        self.dataset = write_snapshot(folder, "dataset", "lamplight", {"direct.jsonl": [{"id": weights.decode()}]})
        tags = {"ghostwriter.recipe": "tiny", "ghostwriter.commit": "c0ffee", "ghostwriter.image": "training@sha256:1"}
        training_run, self.run_id = new_run(client, **tags), new_run(client, **{"mlflow.note.content": "Airflow run: x"})
        client.log_artifacts(training_run, str(adapter), "adapter")
        recipe = Recipe(base=base, revision="r1")
        write_json(
            TrainRequest(run_folder=folder, dataset=self.dataset, arm="distilled", recipe=recipe, models=folder), folder / "request.json"
        )
        facts = {"rows": 1, "dropped": {}, "steps": 1, "tokens": 1, "seconds": 1, "first_loss": 1, "last_loss": 1}
        write_json(TrainResult.model_validate({"adapter": adapter, "base": base, "run_id": training_run, **facts}), folder / "result.json")
        arms = tuple(ArmRequest(name=name, adapter=adapter if name == "distilled" else None) for name in result.scores if name != "writer")
        request = EvaluateRequest(
            run_folder=evaluated, dataset=self.dataset, base=base, revision="r1", arms=arms, candidate="distilled", models=folder
        )
        write_json(request, evaluated / "request.json")
        write_json(result, evaluated / "result.json")
        self.trained = {"request": str(folder / "request.json"), "run_folder": str(folder), "run_id": training_run}
        self.evaluation = str(evaluated / "request.json")

    def judged(self, writer: Writer) -> dict[str, Any]:
        return judge(writer, self.evaluation, self.run_id, None)

    def promoted(self, writer: Writer, dag_run: Any = NIGHTLY, approval: dict[str, Any] | None = None) -> str:
        return promote(writer, self.trained, self.judged(writer), approval, self.run_id, dag_run)
