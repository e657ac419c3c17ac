"""What a year of nights leaves of a writer in MLflow, as far as the page reads it: candidates, versions, an examination, samples."""

import json

from mlflow import MlflowClient

from ghostwriter.judging.moves import Move, now
from ghostwriter.judging.promote import model_name

SCORES = ("style", "heldout_loss_nats_per_token", "rep4", "length_ratio", "ability", "verbatim_share")


def plant_champion(url: str, stem: str, candidates: int) -> None:
    """A champion and the version before it, which was examined against the base with three answers, after so many candidates."""
    client = MlflowClient(url)
    found = client.get_experiment_by_name(stem)
    experiment = str(found.experiment_id) if found else client.create_experiment(stem)
    for number in range(candidates):
        tags = {"ghostwriter.kind": "candidate", **({"ghostwriter.promoted_version": "1"} if number == 3 else {})}
        night = _run(client, experiment, f"candidate {number}", tags, 0.5 + number / 1_000)
    training = _run(client, experiment, "train", {"mlflow.parentRunId": night}, 0.6)
    client.log_param(training, "arm", "direct")
    evaluation = _run(client, experiment, "evaluate", {"mlflow.parentRunId": night}, 0.6)
    for arm in ("direct", "base", "champion-v1"):
        _run(client, experiment, arm, {"mlflow.parentRunId": evaluation}, 0.6)
    table = {"columns": ["question", "writer", "direct"], "data": [[f"Why {number}?", "So.", "Because."] for number in range(3)]}
    client.log_text(evaluation, json.dumps(table), "samples.json")
    name, source = model_name(stem), f"{client.get_run(training).info.artifact_uri}/adapter"
    move = Move(kind="promotion", who="the gate", when=now(), old="1", new="2", why="Promote: better than base.")
    client.create_registered_model(name, tags={"move.0001": move.model_dump_json()})
    for _ in range(2):
        client.create_model_version(name, source=source, run_id=training, tags={"pipeline_run": night, "why": "x"})
    client.set_registered_model_alias(name, "champion", "2")
    client.set_registered_model_alias(name, "previous", "1")


def _run(client: MlflowClient, experiment: str, name: str, tags: dict[str, str], value: float) -> str:
    from mlflow.entities import Metric

    run = str(client.create_run(experiment, run_name=name, tags=tags).info.run_id)
    metrics = [Metric(f"{score}{end}", value, 0, 0) for score in SCORES for end in ("", "/low", "/high")]
    client.log_batch(run, metrics=metrics)
    client.set_terminated(run)
    return run
