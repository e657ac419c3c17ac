"""The bodies of the training DAG's tasks: what they read from and say to MLflow. Arguments are locations and small values."""

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ghostwriter.addresses import serving_url
from ghostwriter.home import Home, read_serving_key
from ghostwriter.judging.content import Content
from ghostwriter.judging.gate import Decision, decide, rival_of
from ghostwriter.judging.moves import CHAMPION
from ghostwriter.judging.promote import (
    adapter_digest,
    alias_version,
    fetch_champion,
    is_champion,
    look_at_moves,
    model_name,
    promote as promote_version,
    roll_back as roll_back_version,
)
from ghostwriter.judging.provenance import run_tags, version_tags
from ghostwriter.judging.serving import Candidate, GatewayPort, Serving, Tried
from ghostwriter.mlflow_runs.decision_page import DECISION_TAG, log_decision
from ghostwriter.mlflow_runs.handover import request_evaluation, request_training
from ghostwriter.mlflow_runs.history import PROMOTED_TAG
from ghostwriter.mlflow_runs.nights_picture import show_nights
from ghostwriter.mlflow_runs.pipeline_run import (
    child,
    close_run as close_pipeline_run,
    finished_run,
    is_run_of,
    log_at_once,
    log_input,
    open_writer_run,
    shown_again,
)
from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri
from ghostwriter.tasks.chain import chosen_or_newest, is_woken, mark_trained, trained_in
from ghostwriter.writer import Writer
from training.contract import RESULT_FILE, Arm, EvaluateRequest, EvaluateResult, TrainRequest, TrainResult, load_recipe, read_json

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

REJECT = "Reject"
"""The option of Airflow's approval form."""
APPROVAL_TAG = "ghostwriter.approval"
SERVED_QUESTIONS = 10


def dataset_to_train(writer: Writer, chosen: str | None, dag_run: Any) -> Path:
    """The dataset a run works on. Raises AirflowSkipException when an event woke the run and the newest one was trained on.

    Unless this very run did: a person has cleared one of its tasks, and Airflow clears this one with it.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    dataset = chosen_or_newest(chosen, Home.default().datasets(writer.stem), f"datasets of {writer.name}")
    before = _trained_in(writer, dataset) if is_woken(dag_run) else None
    if before and not is_run_of(mlflow_client(), writer.stem, before, dag_run):
        raise AirflowSkipException(f"{dataset} was trained on already. To train on it again, trigger this DAG from its form.")
    return dataset


def _trained_in(writer: Writer, dataset: Path) -> str | None:
    """The MLflow run in which a dataset was trained on; what an earlier version trained on has no mark, and gets it here."""
    settings = {"dataset": dataset.name, "arm": writer.training.arm, "recipe": writer.training.recipe}
    if run_id := trained_in(dataset) or finished_run(mlflow_client(), writer.stem, settings):
        mark_trained(dataset, run_id)
    return run_id


def dataset_to_compare(writer: Writer, chosen: str | None) -> Path:
    """The dataset whose arms are compared."""
    return chosen_or_newest(chosen, Home.default().datasets(writer.stem), f"datasets of {writer.name}")


def plan_training(writer: Writer, dataset: Path, arm: Arm, recipe: str, dag_run: Any) -> dict[str, str]:
    """Open (or, after a retry, find) the MLflow run of an Airflow run, and write the training request: their `run_id` and `request`."""
    client = mlflow_client()
    look_at_moves(client, Home.default(), writer.stem)
    run_id = open_writer_run(client, writer, "candidate", dag_run, tracking_uri(), name=f"({arm}, {recipe})", dataset=dataset.name)
    log_at_once(client, run_id, params={"arm": arm, "recipe": recipe, "dataset": dataset.name})
    log_input(client, run_id, dataset, "training")
    return {"run_id": run_id, "request": plan_arm(writer, dataset, arm, recipe, run_id)}


def plan_arm(writer: Writer, dataset: Path, arm: Arm, recipe: str, run_id: str) -> str:
    """Write the request that trains one arm below an MLflow run; returns its path."""
    tracking = child(writer, tracking_uri(), run_id, "train", f"train {arm}", run_tags(recipe))
    home, settings = Home.default(), load_recipe(recipe)
    champion = fetch_champion(mlflow_client(), home, writer.stem) if settings.warm_steps else None
    request = request_training(home, writer, dataset, arm, settings, tracking, champion)
    start = read_json(TrainRequest, request).start
    log.info("Arm %s with recipe %s on %s, from %s: %s", arm, recipe, dataset, start.name if start else "the base", request)
    return str(request)


def plan_evaluation(writer: Writer, training_requests: list[str], run_id: str, *, few_shot: bool = False) -> str:
    """Fetch the champion's adapter and write the evaluation request; returns its path."""
    home = Home.default()
    champion = fetch_champion(mlflow_client(), home, writer.stem)
    tracking = child(writer, tracking_uri(), run_id, "evaluate", "evaluate")
    log.info("To be examined: %d adapters, the base, and %s.", len(training_requests), champion.name if champion else "no champion yet")
    trainings = [Path(request) for request in training_requests]
    return str(request_evaluation(home, writer, trainings, champion, tracking, few_shot=few_shot))


def compare_content(writer: Writer, evaluation_request: str, run_id: str) -> dict[str, Any]:
    """Have the writer's judge compare the candidate's answers with its rival's; returns what it found, nothing when it has no rival."""
    from ghostwriter.judging.ask_judge import VERDICTS_FILE, judge_content
    from ghostwriter.tasks.connections import teacher_endpoint

    assert writer.judge
    request, result = _evaluation(evaluation_request)
    if is_champion(mlflow_client(), writer.stem, _candidate(request)):
        log.info("This adapter is the champion already: there is nothing to compare it with.")
        return {}
    endpoint = teacher_endpoint(writer.judge.connection or writer.teacher.connection)
    content = judge_content(writer, Home.default(), writer.judge, request, result, rival_of(result), endpoint)
    mlflow_client().log_artifact(run_id, str(request.run_folder / VERDICTS_FILE), "content")
    log.info("Content: %s", content.withheld or content.preferred)
    return content.model_dump(mode="json")


def judge(writer: Writer, evaluation_request: str, run_id: str, content: dict[str, Any] | None) -> dict[str, Any]:
    """Put the scores through the gate; decision, figures and reasons go to the MLflow run and the log, the decision is returned as JSON.

    With `[serving] required` the gateway is asked last: only about a candidate that would be promoted. Raises ServingSilent.
    """
    request, result = _evaluation(evaluation_request)
    found = Content.model_validate(content) if content else None
    client = mlflow_client()
    decision = _not_comparable(client, writer, request, result) or decide(result, writer.gate, found)
    if decision.promote and writer.serving.required:
        decision = decide(result, writer.gate, found, try_serving(writer, request, result, _gateway()))
    for reason in (*decision.reasons, decision.summary):
        log.info(reason)
    log_decision(client, run_id, decision, found, shown_again(client, tracking_uri(), run_id, result.run_id))
    return decision.model_dump(mode="json")


def try_serving(writer: Writer, request: EvaluateRequest, result: EvaluateResult, serving: Serving) -> Tried:
    """Whether the candidate of an evaluation can be served. Raises ServingSilent."""
    adapter = _candidate(request)
    trained = read_json(TrainResult, adapter.parent / RESULT_FILE)
    rows = result.samples.read_text(encoding="utf-8").splitlines()[:SERVED_QUESTIONS]
    candidate = Candidate(
        writer=writer.stem,
        run_id=trained.run_id or "",
        digest=adapter_digest(adapter),
        base=request.base,
        revision=request.revision,
        questions=tuple(json.loads(row)["question"] for row in rows),
    )
    return serving.tried(candidate)


def record_answer(run_id: str, decision: Decision, event: dict[str, Any]) -> None:
    """Keep what a person answered to the gate's proposal in the MLflow run."""
    who, why = _approver(event), (event.get("params_input") or {}).get("why") or "no reason given"
    rejected = event["chosen_options"] == [REJECT]
    client = mlflow_client()
    client.set_tag(run_id, APPROVAL_TAG, f"{'Rejected' if rejected else 'Approved'} by {who}: {why}")
    if rejected:
        client.set_tag(run_id, DECISION_TAG, f"Not promoted: rejected by {who}: {why}. The gate said: {decision.summary}")
    log.info("%s by %s: %s", "Rejected" if rejected else "Approved", who, why)


def promote(
    writer: Writer, trained: dict[str, str], verdict: dict[str, Any], approval: dict[str, Any] | None, run_id: str, dag_run: Any
) -> str:
    """Move the alias `champion` to the trained adapter if the verdict says so; returns the version, else raises AirflowSkipException."""
    from airflow.sdk.exceptions import AirflowSkipException

    decision, client = Decision.model_validate(verdict), mlflow_client()
    if not decision.promote:
        raise AirflowSkipException(decision.summary)
    request = read_json(TrainRequest, Path(trained["request"]))
    result = read_json(TrainResult, request.run_folder / RESULT_FILE)
    tags = version_tags(request, client.get_run(trained["run_id"]).data.tags)
    version = promote_version(
        client,
        Home.default(),
        writer,
        trained["run_id"],
        result.adapter,
        {**tags, "pipeline_run": run_id, "why": decision.summary},
        champion=decision.champion,
        who=_approver(approval) if approval else _who(dag_run),
        why=decision.summary,
        numbers=decision.numbers,
    )
    client.set_tag(run_id, PROMOTED_TAG, version)
    show_nights(client, run_id, model_name(writer.stem), version)
    log.info("Version %s is the champion of %s.", version, writer.name)
    return version


def roll_back(writer: Writer, why: str, version: int | None, dag_run: Any) -> str:
    """Make the previous champion, or the version named, the champion again; returns its version."""
    new = roll_back_version(
        mlflow_client(), Home.default(), writer.stem, who=_who(dag_run), why=why, version=str(version) if version else None
    )
    log.info("Version %s is the champion of %s again.", new, writer.name)
    return new


def close_run(writer: Writer, run_id: str, form: Mapping[str, Any], task_instance: Any) -> None:
    """End the MLflow run: FINISHED when a verdict was reached and carried out, or rejected by a person; FAILED otherwise.

    A finished run with the writer file's arm and recipe is what the chain takes for trained on.
    """
    planned, verdict, version = (task_instance.xcom_pull(task_ids=task) for task in ("plan", "judge", "promote"))
    client = mlflow_client()
    rejected = client.get_run(run_id).data.tags.get(APPROVAL_TAG, "").startswith("Rejected")
    succeeded = bool(verdict and (version or rejected or not verdict["promote"]))
    close_pipeline_run(client, run_id, succeeded=succeeded)
    if succeeded and (form["arm"], form["recipe"]) == (writer.training.arm, writer.training.recipe):
        mark_trained(read_json(TrainRequest, Path(planned["request"])).dataset, run_id)


def _not_comparable(client: "MlflowClient", writer: Writer, request: EvaluateRequest, result: EvaluateResult) -> Decision | None:
    """A refusal when the candidate is the champion, or was not compared with it; None when the figures decide."""
    champion, rival = alias_version(client, writer.stem, CHAMPION), rival_of(result)
    if any(arm.name == request.candidate and arm.notes != "none" for arm in request.arms):
        why = "it was examined with notes, in two passes, and a champion answers in one: it would not be served as it was scored"
        return Decision.refused(result.candidate, rival, why)
    if is_champion(client, writer.stem, _candidate(request)):
        return Decision.refused(result.candidate, rival, "this adapter is the champion already")
    if champion is None or rival == f"champion-v{champion.version}":
        return None
    if champion.tags.get("base", "") != request.base or (champion.tags.get("revision") or None) != request.revision:
        why = (
            f"the champion (version {champion.version}) has another base, {champion.tags.get('base')}, so the two were not compared. "
            "To start anew on this base, remove the alias `champion` in MLflow and trigger this DAG again"
        )
        return Decision.refused(result.candidate, rival, why)
    why = f"version {champion.version} became the champion after the evaluation. Trigger this DAG again: nothing is trained twice"
    return Decision.refused(result.candidate, rival, why)


def _evaluation(request_path: str) -> tuple[EvaluateRequest, EvaluateResult]:
    request = read_json(EvaluateRequest, Path(request_path))
    return request, read_json(EvaluateResult, request.run_folder / RESULT_FILE)


def _gateway() -> GatewayPort:
    return GatewayPort(serving_url(), read_serving_key(Home.default()))


def _candidate(request: EvaluateRequest) -> Path:
    """The candidate's adapter folder."""
    adapter = next(arm.adapter for arm in request.arms if arm.name == request.candidate)
    assert adapter
    return adapter


def _approver(event: dict[str, Any]) -> str:
    user = event.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "nobody in time")


def _who(dag_run: Any) -> str:
    return str(getattr(dag_run, "triggering_user_name", None) or getattr(dag_run.run_type, "value", dag_run.run_type))
