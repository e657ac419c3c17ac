"""What the training DAG's tasks do with a finished evaluation: decision to MLflow, champion moved or not, a true final status."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException
from mlflow import MlflowClient

from ghostwriter.judging.gate import Decision, decide
from ghostwriter.judging.promote import alias_version
from ghostwriter.judging.serving import ServingSilent
from ghostwriter.mlflow_runs.comparison import comparison_table
from ghostwriter.mlflow_runs.pipeline_run import shown_again
from ghostwriter.mlflow_runs.server import tracking_uri
from ghostwriter.snapshot import read_manifest, write_snapshot
from ghostwriter.tasks.stages import close_run, record_answer, roll_back
from ghostwriter.writer import Writer
from ghostwriter.writer_settings import Gate, Serving
from tests.ghostwriter.judging.evaluations import evaluation
from tests.ghostwriter.tasks.finished_night import Night, new_run
from tests.training.tracking.mlflow_server import free_port
from training.contract import EvaluateRequest, Recipe, TrainRequest, read_json, write_json

REJECTED = {"chosen_options": ["Reject"], "params_input": {"why": "too bland"}, "responded_by_user": {"id": "1", "name": "ada"}}
APPROVED = {"chosen_options": ["Approve"], "params_input": {"why": ""}, "responded_by_user": {"id": "1", "name": "ada"}}
BY_HAND = SimpleNamespace(run_type="manual", triggering_user_name="ada")


def test_a_verdict_stands_in_mlflow_with_every_figure_and_reason(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    night = Night(client, tmp_path / "night", b"one", evaluation("base"))
    verdict = night.judged(writer)
    run = client.get_run(night.run_id)
    assert verdict["promote"]
    assert run.data.tags["ghostwriter.decision"] == verdict["summary"]
    assert run.data.metrics["style"] == 0.70
    assert (run.data.metrics["difference/style"], run.data.metrics["difference/style/low"]) == (0.10, 0.08)
    kept = json.loads(Path(client.download_artifacts(night.run_id, "decision.json")).read_text())
    assert Decision.model_validate(kept["decision"]) == decide(evaluation("base"), Gate())
    page = Path(client.download_artifacts(night.run_id, "decision.md")).read_text()
    assert "- ✓ rep4: 2.0% of its 4-word runs are repeats, at most 6.0%" in page
    assert "| style | 0.700 [0.680, 0.720] | 0.100 [0.080, 0.120] |" in page
    assert run.data.tags["mlflow.note.content"] == f"Airflow run: x\n\n{page}"


def test_an_evaluation_that_was_made_for_an_earlier_run_leads_there(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    earlier = new_run(client)
    own, others = (new_run(client, **{"mlflow.parentRunId": parent}) for parent in ("0", earlier))
    night = Night(client, tmp_path / "night", b"one", evaluation("base").model_copy(update={"run_id": others}))
    night.judged(writer)
    note = client.get_run(night.run_id).data.tags["mlflow.note.content"]
    experiment = client.get_run(earlier).info.experiment_id
    assert note.endswith(
        f"stand below [that run]({tracking_uri()}/#/experiments/{experiment}/runs/{earlier}?workflowType=machine_learning).\n"
    )
    client.set_tag(own, "mlflow.parentRunId", night.run_id)
    assert shown_again(client, tracking_uri(), night.run_id, own) == shown_again(client, tracking_uri(), night.run_id, None) == ""


def test_a_version_names_base_data_split_recipe_code_and_image(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    night = Night(client, tmp_path / "night", b"one", evaluation("base"))
    version = client.get_model_version("ghostwriter-lamplight", night.promoted(writer))
    expected = {
        "base": "tiny",
        "revision": "r1",
        "arm": "distilled",
        "dataset": read_manifest(night.dataset).digest,
        "split_salt": "ghostwriter split 1",
        "recipe": "tiny",
        "commit": "c0ffee",
        "image": "training@sha256:1",
        "pipeline_run": night.run_id,
    }
    assert {name: version.tags[name] for name in expected} == expected
    assert len(version.tags["recipe_sha256"]) == 64
    assert client.get_run(night.run_id).data.tags["ghostwriter.promoted_version"] == "1"


def test_the_next_night_is_judged_against_the_champion_and_a_tie_is_skipped(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    Night(client, tmp_path / "first", b"one", evaluation("base")).promoted(writer)
    better = Night(client, tmp_path / "second", b"two", evaluation("champion-v1"))
    assert better.promoted(writer) == "2"
    tie = Night(client, tmp_path / "third", b"three", evaluation("champion-v2", style=0.6, heldout_loss=2.7))
    with pytest.raises(AirflowSkipException, match="not certainly better than champion-v2"):
        tie.promoted(writer)
    assert roll_back(writer, "a test", None, BY_HAND) == "1"


def test_an_adapter_that_is_the_champion_already_is_not_compared(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    Night(client, tmp_path / "first", b"one", evaluation("base")).promoted(writer)
    again = Night(client, tmp_path / "second", b"one", evaluation("base"))
    assert again.judged(writer)["summary"] == "Not promoted: this adapter is the champion already."


def test_a_champion_that_came_after_the_evaluation_is_not_overrun(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    late = Night(client, tmp_path / "late", b"late", evaluation("base"))
    Night(client, tmp_path / "first", b"one", evaluation("base")).promoted(writer)
    assert late.judged(writer)["summary"] == (
        "Not promoted: version 1 became the champion after the evaluation. Trigger this DAG again: nothing is trained twice."
    )


def test_what_was_examined_in_two_passes_is_not_promoted(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    night = Night(client, tmp_path / "night", b"one", evaluation("base"))
    request = read_json(EvaluateRequest, Path(night.evaluation))
    noted = [arm.model_copy(update={"notes": "draft"}) if arm.adapter else arm for arm in request.arms]
    write_json(request.model_copy(update={"arms": tuple(noted)}), Path(night.evaluation))
    assert "in two passes, and a champion answers in one" in night.judged(writer)["summary"]
    with pytest.raises(AirflowSkipException, match="not be served as it was scored"):
        night.promoted(writer)


def test_a_champion_on_another_base_is_not_replaced_unseen(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    Night(client, tmp_path / "first", b"one", evaluation("base")).promoted(writer)
    other = Night(client, tmp_path / "other", b"two", evaluation("base"), base="bigger")
    assert "the champion (version 1) has another base, tiny, so the two were not compared" in other.judged(writer)["summary"]


def test_who_promotes_is_the_person_who_approved(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    Night(client, tmp_path / "night", b"one", evaluation("base")).promoted(writer, approval=APPROVED)
    assert alias_version(client, "lamplight", "champion")
    (record,) = client.get_registered_model("ghostwriter-lamplight").tags.values()
    assert json.loads(record)["who"] == "ada"
    assert json.loads(record)["numbers"]["differences"]["style"] == [0.1, 0.08, 0.12]


def test_a_rejection_and_its_reason_stand_in_mlflow(client: MlflowClient, writer: Writer, tmp_path: Path) -> None:
    night = Night(client, tmp_path / "night", b"one", evaluation("base"))
    verdict = Decision.model_validate(night.judged(writer))
    record_answer(night.run_id, verdict, REJECTED)
    tags = client.get_run(night.run_id).data.tags
    assert tags["ghostwriter.approval"] == "Rejected by ada: too bland"
    assert tags["ghostwriter.decision"] == f"Not promoted: rejected by ada: too bland. The gate said: {verdict.summary}"


def test_the_comparison_is_one_table_of_arms_by_measures() -> None:
    table = comparison_table(evaluation("few-shot", withheld={"ability": "not asked for"}))
    head, *rows = table.split("\n\n")[1].splitlines()
    assert head == "| measure | base | distilled | few-shot | writer |"
    assert rows[2].startswith("| style | 0.600 [0.580, 0.620] | 0.700 [0.680, 0.720] |")
    assert table.endswith("Not measured: ability, not asked for.\n")


class Tasks:
    """What finished tasks returned."""

    def __init__(self, **returned: Any) -> None:
        self.returned = returned

    def xcom_pull(self, task_ids: str) -> Any:
        return self.returned.get(task_ids)


@pytest.mark.parametrize("recipe", [None, "another"])
@pytest.mark.parametrize(
    ("tasks", "answer", "status"),
    [
        (Tasks(), None, "FAILED"),
        (Tasks(judge={"promote": False}), None, "FINISHED"),
        (Tasks(judge={"promote": True}, promote="2"), None, "FINISHED"),
        (Tasks(judge={"promote": True}), None, "FAILED"),
        (Tasks(judge={"promote": True}), REJECTED, "FINISHED"),
        (Tasks(judge={"promote": True}), APPROVED, "FAILED"),
    ],
    ids=["no verdict", "not promoted", "promoted", "promotion failed", "rejected", "approved, promotion failed"],
)
def test_a_run_is_finished_when_its_verdict_was_carried_out_and_marks_what_the_nights_ask_for(
    tasks: Tasks,
    answer: dict[str, Any] | None,
    status: str,
    recipe: str | None,
    client: MlflowClient,
    writer: Writer,
    tmp_path: Path,
) -> None:
    run_id = new_run(client)
    if answer:
        record_answer(run_id, decide(evaluation(), Gate()), answer)
    training = tmp_path / "training"
    dataset = write_snapshot(tmp_path / "datasets", "dataset", "lamplight", {"direct.jsonl": [{"id": "a"}]})
    request = TrainRequest(run_folder=training, dataset=dataset, arm="distilled", recipe=Recipe(base="tiny"), models=tmp_path)
    training.mkdir()
    write_json(request, training / "request.json")
    tasks = Tasks(**tasks.returned, plan={"request": str(training / "request.json")})
    form = {"arm": writer.training.arm, "recipe": writer.training.recipe if recipe is None else recipe}
    close_run(writer, run_id, form, tasks)
    assert (dataset / "trained.json").exists() == (status == "FINISHED" and recipe is None)
    assert client.get_run(run_id).info.status == status


def test_a_writer_that_must_be_served_is_not_promoted_while_no_gateway_answers(
    client: MlflowClient, writer: Writer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "samples.jsonl").write_text(json.dumps({"question": "Why?"}) + "\n")
    result = evaluation("base").model_copy(update={"samples": tmp_path / "samples.jsonl"})
    monkeypatch.setenv("GHOSTWRITER_SERVING_URL", f"http://127.0.0.1:{free_port()}/v1")
    night = Night(client, tmp_path / "night", b"one", result)
    wanted = writer.model_copy(update={"serving": Serving(required=True)})
    with pytest.raises(ServingSilent, match="must be served before it is promoted"):
        night.judged(wanted)
    assert alias_version(client, "lamplight", "champion") is None
    assert night.judged(writer)["promote"]
