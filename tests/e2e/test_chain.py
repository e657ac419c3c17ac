"""The whole chain through a real Airflow: real site, teacher and MLflow over HTTP, a tiny random model in the training environment."""

import json
import shutil
from pathlib import Path

import pytest

from demo.follow import Loop
from ghostwriter.embedded.services import wait_until
from ghostwriter.embedded.stack import GPU_TASKS_AT_ONCE
from ghostwriter.errors import ServiceError
from tests.e2e.world import SECRETS, STEM, WRITER_FILE, World
from training.contract import RESULT_FILE, EvaluateResult, read_json

CAREFUL_FILE = f"{WRITER_FILE}approval = true\n[judge]\nquestions = 4\nagreement_pairs = 3\n"
"""Another writer with the same answers, whose champion changes only when a person says so."""


def test_the_assets_carry_one_collection_to_a_champion(world: World, first: Loop) -> None:
    assert {name: task["state"] for name, task in first.tasks["train"].items()} == {
        "plan": "success",
        "train": "success",
        "plan_evaluation": "success",
        "evaluate": "success",
        "measure": "success",
        "judge": "success",
        "promote": "success",
        "close_run": "success",
    }
    champion = world.client.get_model_version_by_alias(f"ghostwriter-{STEM}", "champion")
    assert str(champion.version) == "1"
    assert champion.tags["base"] == "tiny-random-qwen2"


def test_mlflow_holds_one_finished_run_with_its_parts_below_it(world: World, first: Loop) -> None:
    run_id = world.api.xcom(f"{STEM}_train", first.runs["train"], "plan")["run_id"]
    run = world.client.get_run(run_id)
    children = world.client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run_id}'")
    assert run.info.status == "FINISHED"
    assert run.data.tags["ghostwriter.decision"].startswith("Promote")
    assert run.data.metrics["heldout_loss_nats_per_token"] > 0
    assert {child.info.status for child in children} == {"FINISHED"}
    assert len(children) >= 2
    trained = world.client.get_run(world.api.xcom(f"{STEM}_train", first.runs["train"], "train")["run_id"])
    assert trained.data.params["rank"] == "4"
    assert trained.inputs.dataset_inputs[0].dataset.digest
    assert {Path(file.path).name for file in world.client.list_artifacts(trained.info.run_id, "adapter")} >= {
        "adapter_config.json",
        "adapter_model.safetensors",
    }


def test_the_button_leads_to_the_mlflow_run(world: World, first: Loop) -> None:
    links = world.api.get(f"dags/{STEM}_train/dagRuns/{first.runs['train']}/taskInstances/train/links")["extra_links"]
    run_id = world.api.xcom(f"{STEM}_train", first.runs["train"], "train")["run_id"]
    assert f"/runs/{run_id}" in links["MLflow run"]


def test_no_secret_stands_in_logs_xcoms_results_or_mlflow(world: World, first: Loop) -> None:
    files = [path for path in world.home.path.rglob("*") if path.is_file() and path.stat().st_size < 20_000_000]
    assert len(files) > 50
    assert [str(path) for path in files if any(secret in path.read_bytes() for secret in SECRETS)] == []


def test_clearing_measure_alone_measures_again_though_there_is_no_gpu(world: World, first: Loop) -> None:
    dag, run_id = f"{STEM}_train", first.runs["train"]
    result = Path(world.api.xcom(dag, run_id, "measure")["run_folder"]) / RESULT_FILE
    before = read_json(EvaluateResult, result)
    result.unlink()
    world.api.resize_pool("gpu", GPU_TASKS_AT_ONCE, 0)
    try:
        world.api.post(
            f"dags/{dag}/clearTaskInstances", {"dag_run_id": run_id, "task_ids": ["measure"], "only_failed": False, "dry_run": False}
        )
        wait_until(lambda: tried(world, dag, run_id)["measure"] == ("success", 2), 240, "Measuring again")  # Airflow answers first
    finally:
        world.api.resize_pool("gpu", 0, GPU_TASKS_AT_ONCE)
    assert world.api.wait_finished(dag, run_id, 60) == "success"
    assert {task: tried(world, dag, run_id)[task] for task in ("evaluate", "train")} == {
        "evaluate": ("success", 1),
        "train": ("success", 1),
    }
    assert read_json(EvaluateResult, result).scores == before.scores


def tried(world: World, dag: str, run_id: str) -> dict[str, tuple[str | None, int]]:
    return {task["task_id"]: (task["state"], task["try_number"]) for task in world.api.tasks(dag, run_id)}


def test_a_pass_without_news_finds_the_champion_again_and_pays_nothing(world: World, first: Loop) -> None:
    paid = world.teacher.completions
    again = world.go()
    assert {name: task["state"] for name, task in again.tasks["collect"].items()} == {
        "read_site": "success",
        "snapshot": "skipped",
        "wake_training": "skipped",
    }
    assert again.tasks["train"]["promote"]["state"] == "skipped"
    verdict = world.api.xcom(f"{STEM}_train", again.runs["train"], "judge")
    assert verdict["summary"] == "Not promoted: this adapter is the champion already."
    assert world.teacher.completions == paid


def test_the_form_can_ask_only_what_it_would_cost(world: World, first: Loop) -> None:
    paid, dag = world.teacher.completions, f"{STEM}_distill"
    run_id = world.api.trigger(dag, {"wanted": 40, "only_estimate": True})
    assert world.api.wait_finished(dag, run_id, 120) == "success"
    assert world.states(dag, run_id) == {
        "find_answers": "success",
        "estimate_cost": "success",
        "ask_teacher": "skipped",
        "record_totals": "skipped",
        "wake_training": "skipped",
    }
    assert world.api.xcom(dag, run_id, "estimate_cost", "estimate")["to_buy"] > 0
    log = [line for line in world.api.log_lines(dag, run_id, "estimate_cost", 1) if line.startswith(("estimate_cost: ", "Plan: "))]
    assert [line.partition(" ")[2].partition(" ")[0] for line in log] == ["Say", "40", "done"]
    assert world.teacher.completions == paid


def test_rolling_back_without_a_previous_champion_fails_with_the_reason(world: World, first: Loop) -> None:
    run_id = world.api.trigger(f"{STEM}_rollback", {"why": "a test"})
    assert world.api.wait_finished(f"{STEM}_rollback", run_id, 120) == "failed"
    assert "has no previous champion" in "\n".join(world.api.log_lines(f"{STEM}_rollback", run_id, "roll_back", 1))


def test_a_comparison_puts_all_arms_into_one_table_and_promotes_nothing(world: World, first: Loop) -> None:
    run_id = world.api.trigger(f"{STEM}_compare", {"arms": ["distilled", "direct"]})
    assert world.api.wait_finished(f"{STEM}_compare", run_id, 300) == "success"
    run = world.client.get_run(world.api.xcom(f"{STEM}_compare", run_id, "open_run"))
    table = run.data.tags["mlflow.note.content"]
    assert "| measure | base | few-shot | distilled | direct | writer |" in table
    assert "| heldout_loss | " in table
    assert run.info.status == "FINISHED"
    assert str(world.client.get_model_version_by_alias(f"ghostwriter-{STEM}", "champion").version) == "1"


WAITING = "dag_id='careful_train', task_id='approve'"


def test_a_person_rejects_one_candidate_and_approves_the_next_run(world: World, first: Loop) -> None:
    made = next(world.home.datasets(STEM).glob("*/manifest.json")).parent
    dataset = shutil.copytree(made, world.home.datasets("careful") / made.name)
    world.write("careful", CAREFUL_FILE)
    world.switch_on(["careful_train"])

    def answered(option: str, why: str) -> tuple[str, dict[str, str | None]]:
        run_id = world.api.trigger("careful_train", {"dataset": str(dataset)})
        path = f"dags/careful_train/dagRuns/{run_id}"
        wait_until(lambda: world.states("careful_train", run_id)["approve"] == "awaiting_input", 300, "Asking for approval")
        # Airflow fails a task that is answered before its scheduler has heard that the first part ended, some 6 seconds later.
        heard = f"Received executor event with state success for task instance TaskInstanceKey({WAITING}, run_id='{run_id}'"
        wait_until(lambda: heard in world.supervisor.log("airflow-scheduler").read_text(errors="replace"), 120, "Waiting for an answer")
        world.api.patch(f"{path}/taskInstances/approve/-1/hitlDetails", {"chosen_options": [option], "params_input": {"why": why}})
        assert world.api.wait_finished("careful_train", run_id, 120) == "success"
        mlflow_run = world.client.get_run(world.api.xcom("careful_train", run_id, "plan")["run_id"])
        assert mlflow_run.info.status == "FINISHED"
        return mlflow_run.data.tags["ghostwriter.decision"], world.states("careful_train", run_id)

    decision, states = answered("Reject", "too bland")
    assert decision.startswith("Not promoted: rejected by admin: too bland. The gate said: Promote")
    assert (states["compare_content"], states["approve"], states["promote"]) == ("success", "success", "skipped")
    assert world.client.search_registered_models("name = 'ghostwriter-careful'") == []
    decision, states = answered("Approve", "fine")
    assert decision.startswith("Promote: ")
    assert "Not measured: " in decision and "content, the judge gave no verdict" in decision  # the test's teacher invents words
    assert states["promote"] == "success"
    (move,) = world.client.get_registered_model("ghostwriter-careful").tags.values()
    assert (json.loads(move)["who"], json.loads(move)["to"]) == ("admin", "1")


def test_the_form_refuses_a_bad_value_with_a_sentence(world: World) -> None:
    with pytest.raises(ServiceError, match=r"400 .*recipe"):
        world.api.trigger(f"{STEM}_train", {"recipe": "no-such-recipe"})


def test_the_multiplication_check_runs_from_its_form(world: World) -> None:
    run_id = world.api.trigger("multiplication", {"recipe": "tiny", "samples": 8, "epochs": 2, "pairs": 4})
    assert world.api.wait_finished("multiplication", run_id, 240) == "success"
    planned, figures = (world.api.xcom("multiplication", run_id, task) for task in ("plan", "summarise"))
    run = world.client.get_run(planned["run_id"])
    assert run.info.status == "FINISHED"
    assert world.client.get_experiment(run.info.experiment_id).name == "multiplication"
    assert run.data.metrics == figures
    assert (run.data.params["digits"], run.data.params["epochs"]) == ("1", "2")
    assert "| after epoch 2 |" in run.data.tags["mlflow.note.content"]
    below = world.client.search_runs([run.info.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {child.info.run_name: child.info.status for child in below} == {"train": "FINISHED", "examine": "FINISHED"}
    examined = world.api.xcom("multiplication", run_id, "examine")["run_id"]
    links = world.api.get(f"dags/multiplication/dagRuns/{run_id}/taskInstances/examine/links")["extra_links"]
    assert f"/runs/{examined}" in links["MLflow run"]


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"digits": 0}, "0 is less than the minimum of 1"),
        ({"samples": -1}, "-1 is less than the minimum of 1"),
        ({"digits": 40}, "40 is greater than the maximum of 6"),
        ({"phrasings": 13}, "13 is greater than the maximum of 12"),
        ({"recipe": "nope"}, "'nope' is not one of"),
    ],
)
def test_the_multiplication_form_refuses_a_bad_value_with_a_sentence(world: World, form: dict[str, object], words: str) -> None:
    with pytest.raises(ServiceError, match=f"400 .*{words}"):
        world.api.trigger("multiplication", form)
