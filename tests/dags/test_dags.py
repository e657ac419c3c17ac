"""The DAGs that the writer files become: names, schedules, chain, forms, pages."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.definitions.context import _AIRFLOW_PARSING_CONTEXT_DAG_ID
from airflow.task.priority_strategy import validate_and_load_priority_weight_strategy

from ghostwriter.home import ROOT
from tests.dags.bag import DagBag, read_dags
from training.contract import recipe_names

NOTIFY = '[notify]\nmail = "post"\nto = ["owner@example.org"]\nwebhook = "hook"\n'
STAGES = ("collect", "distill", "train", "compare", "rollback")


@pytest.fixture(scope="module")
def writers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    writers = tmp_path_factory.mktemp("writers")
    (writers / "lamplight.toml").write_text((ROOT / "writers" / "lamplight.toml").read_text())
    plain = (writers / "lamplight.toml").read_text()
    careful = plain.replace("[teacher]", "[teacher]\nbatch = true") + "\n[gate]\napproval = true\napprovers = ['7']\n"
    without_student = careful[: careful.index("[student]")] + careful[careful.index("[training]") :]
    (writers / "careful.toml").write_text(without_student + "\n[judge]\nquestions = 5\n" + NOTIFY)
    (writers / "broken.toml").write_text('name = "x"\nnonsense = 1\n')
    return writers


@pytest.fixture(scope="module")
def bag(writers: Path) -> DagBag:
    before = os.environ["GHOSTWRITER_WRITERS"]
    os.environ["GHOSTWRITER_WRITERS"] = str(writers)
    try:
        return read_dags()
    finally:
        os.environ["GHOSTWRITER_WRITERS"] = before


def test_every_file_is_parsed(bag: DagBag) -> None:
    assert bag.import_errors == {}
    dags = [f"{stem}_{stage}" for stem in ("careful", "lamplight") for stage in STAGES]
    assert set(bag.dags) == {"broken_collect", *dags, "housekeeping", "multiplication"}


def test_a_bad_writer_file_becomes_a_dag_that_says_what_is_wrong(bag: DagBag) -> None:
    assert "nonsense: unknown key" in (bag.dags["broken_collect"].doc_md or "")


@pytest.mark.parametrize(("file", "dag"), [("train.py", "lamplight_train"), ("unreadable.py", "broken_collect")])
def test_of_a_file_a_task_builds_its_own_dag_only(writers: Path, monkeypatch: pytest.MonkeyPatch, file: str, dag: str) -> None:
    """So it starts as soon among twenty writers as among one."""
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(writers))
    for asked, expected in ((dag, [dag]), ("somebody_train", [])):
        monkeypatch.setenv(_AIRFLOW_PARSING_CONTEXT_DAG_ID, asked)
        assert list(read_dags(file).dags) == expected


def test_no_task_carries_a_copy_of_the_form(bag: DagBag) -> None:
    """Airflow validates each copy at each parse: two thirds of what many writers cost."""
    carried = {f"{name}.{task.task_id}" for name, dag in bag.dags.items() if dag.params for task in dag.tasks if task.params}
    assert {name for name in carried if not name.startswith(("multiplication.", "housekeeping."))} == {"careful_train.approve"}


def test_the_assets_chain_the_dags(bag: DagBag) -> None:
    def outlets(dag: str, task: str) -> list[str]:
        return [asset.name for asset in bag.dags[dag].get_task(task).outlets]

    def scheduled_on(dag: str) -> list[str]:
        return [asset.name for asset in bag.dags[dag].timetable.asset_condition.objects]

    assert outlets("lamplight_collect", "snapshot") == scheduled_on("lamplight_distill") == ["answers/lamplight"]
    assert outlets("lamplight_distill", "wake_training") == scheduled_on("lamplight_train") == ["dataset/lamplight"]
    assert outlets("lamplight_collect", "wake_training") == ["dataset/lamplight"]
    assert outlets("lamplight_train", "promote") == ["champion/lamplight"]


def test_collecting_follows_the_writers_own_clock(bag: DagBag) -> None:
    timetable = bag.dags["lamplight_collect"].timetable
    assert (timetable.expression, str(timetable.timezone)) == ("0 3 * * *", "Europe/London")


def test_gpu_stages_share_one_pool_and_no_dag_runs_twice_at_once(bag: DagBag) -> None:
    train = bag.dags["lamplight_train"]
    assert {train.get_task(task).pool for task in ("train", "evaluate")} == {"gpu"}
    for dag in ("lamplight_train", "lamplight_compare"):
        measure = bag.dags[dag].get_task("measure")
        assert (measure.pool, measure.upstream_task_ids) == ("default_pool", {"plan_evaluation", "evaluate"})
    assert bag.dags["lamplight_distill"].get_task("ask_teacher").pool == "teacher"
    assert {dag.max_active_runs for name, dag in bag.dags.items() if name.startswith("lamplight")} == {1}


def test_a_new_writer_has_one_switch_and_it_is_off(bag: DagBag) -> None:
    assert [stage for stage in STAGES if bag.dags[f"lamplight_{stage}"].is_paused_upon_creation] == ["collect"]


def test_what_is_furthest_goes_first_so_that_a_night_ends_before_the_next_writers_begins(bag: DagBag) -> None:
    def weights(stage: str) -> dict[str, int]:
        tasks = bag.dags[f"lamplight_{stage}"].tasks
        rules = {task.task_id: validate_and_load_priority_weight_strategy(task.weight_rule) for task in tasks}
        return {task.task_id: rules[task.task_id].get_weight(SimpleNamespace(task=task)) for task in tasks}

    collect, distill, train = (weights(stage) for stage in ("collect", "distill", "train"))
    assert max(collect.values()) < min(distill.values()) <= max(distill.values()) < min(train.values())
    assert train["train"] < train["evaluate"] < train["measure"] < train["promote"]


def test_a_judge_and_a_persons_word_are_tasks_only_where_the_writer_file_asks_for_them(bag: DagBag) -> None:
    plain, careful = bag.dags["lamplight_train"], bag.dags["careful_train"]
    assert sorted({task.task_id for task in careful.tasks} - {task.task_id for task in plain.tasks}) == ["approve", "compare_content"]
    assert careful.get_task("judge").upstream_task_ids == {"plan", "measure", "compare_content"}
    assert careful.get_task("promote").upstream_task_ids == {"plan", "train", "judge", "approve"}
    assert careful.get_task("compare_content").pool == "teacher"


def test_a_batch_is_waited_for_before_the_teacher_is_asked_where_the_writer_file_says_so(bag: DagBag) -> None:
    plain, careful = bag.dags["lamplight_distill"], bag.dags["careful_distill"]
    assert {task.task_id for task in careful.tasks} - {task.task_id for task in plain.tasks} == {"wait_for_batch"}
    assert careful.get_task("ask_teacher").upstream_task_ids == {"estimate_cost", "wait_for_batch"}
    assert careful.get_task("wait_for_batch").upstream_task_ids == {"find_answers", "estimate_cost"}


def test_the_form_offers_the_modes_that_the_writer_file_has_what_is_needed_for(bag: DagBag) -> None:
    offered = {stem: bag.dags[f"{stem}_distill"].params.get_param("mode").schema["enum"] for stem in ("lamplight", "careful")}
    rewriting = ["inverse", "inverse+distilled"]
    assert offered == {
        "lamplight": ["distilled", "self-instruct", "direct", *rewriting],
        "careful": ["distilled", "direct", *rewriting],
    }


def test_a_comparison_trains_each_arm_and_promotes_nothing(bag: DagBag) -> None:
    compare = bag.dags["lamplight_compare"]
    assert compare.params["arms"] == ["direct", "mixed"]
    assert compare.get_task("train").is_mapped
    assert {task.task_id for task in compare.tasks} == {
        "open_run",
        "plan",
        "train",
        "plan_evaluation",
        "evaluate",
        "measure",
        "summarise",
        "close_run",
    }
    assert [task.task_id for task in compare.tasks if task.outlets] == []


def test_the_form_offers_every_recipe(bag: DagBag) -> None:
    schema = bag.dags["lamplight_train"].params.get_param("recipe").schema
    assert schema["enum"] == recipe_names()


@pytest.mark.parametrize("stage", STAGES)
def test_each_field_of_a_form_has_a_title_and_a_line_and_what_matters_most_is_open(bag: DagBag, stage: str) -> None:
    params = bag.dags[f"lamplight_{stage}"].params
    fields = {name: params.get_param(name) for name in params}
    assert [name for name, field in fields.items() if not field.schema.get("title") or not field.description] == []
    assert {name for name, field in fields.items() if not field.schema.get("section")} == {
        "collect": {"full"},
        "distill": {"wanted", "only_estimate", "mode"},
        "train": {"arm", "recipe"},
        "compare": {"arms", "recipe"},
        "rollback": {"why", "version"},
    }[stage]


def test_the_cost_is_said_before_anything_is_bought(bag: DagBag) -> None:
    distill = bag.dags["lamplight_distill"]
    assert distill.get_task("ask_teacher").upstream_task_ids == {"find_answers", "estimate_cost"}


def test_messages_are_off_by_default_and_go_where_the_writer_file_says(bag: DagBag) -> None:
    def told(stem: str, dag: str, task: str, on: str) -> list[str]:
        return [type(message.notifier()).__name__ for message in getattr(bag.dags[f"{stem}_{dag}"].get_task(task), f"on_{on}_callback")]

    assert told("lamplight", "train", "train", "failure") == []
    assert told("careful", "train", "train", "failure") == ["SmtpNotifier", "ChatNotifier"]
    assert told("careful", "collect", "read_site", "failure") == ["SmtpNotifier", "ChatNotifier"]
    assert told("careful", "train", "promote", "success") == ["SmtpNotifier", "ChatNotifier"]
    assert told("careful", "rollback", "roll_back", "success") == ["SmtpNotifier", "ChatNotifier"]
    assert told("careful", "train", "judge", "success") == []


@pytest.mark.parametrize("stage", STAGES)
def test_each_dag_has_a_page_and_each_task_a_line(bag: DagBag, stage: str) -> None:
    dag = bag.dags[f"lamplight_{stage}"]
    assert dag.doc_md
    assert dag.doc_md.startswith("###")
    assert [task.task_id for task in dag.tasks if not task.doc_md] == []


def test_the_dags_folder_holds_nothing_else() -> None:
    names = sorted(path.name for path in Path(ROOT / "dags").iterdir() if path.suffix == ".py")
    assert names == [
        "collect.py",
        "compare.py",
        "distill.py",
        "housekeeping.py",
        "maintenance.py",
        "multiplication.py",
        "rollback.py",
        "train.py",
        "unreadable.py",
    ]


def test_the_multiplication_form_has_the_bounds_of_what_can_be_made(bag: DagBag) -> None:
    params = bag.dags["multiplication"].params
    bounds = {name: (schema.get("minimum"), schema.get("maximum")) for name in params if (schema := params.get_param(name).schema)}
    assert bounds["samples"] == (1, 200_000)
    assert bounds["digits"] == (1, 6)
    assert bounds["epochs"] == (1, 100)
    assert bounds["phrasings"] == (1, 12)
    assert [name for name in params if not params.get_param(name).schema.get("title") or not params.get_param(name).description] == []
    assert params.get_param("recipe").schema["enum"] == recipe_names()


def test_the_multiplication_check_uses_the_same_stages_and_pool_as_style(bag: DagBag) -> None:
    dag, train = bag.dags["multiplication"], bag.dags["lamplight_train"]
    assert [type(dag.get_task(task)) for task in ("train", "examine")] == [type(train.get_task("train"))] * 2
    assert {dag.get_task(task).pool for task in ("train", "examine")} == {"gpu"}
    assert (dag.doc_md or "").startswith("###")
    assert [task.task_id for task in dag.tasks if not task.doc_md] == []


def test_the_gpu_stages_have_the_buttons_that_their_results_answer(bag: DagBag) -> None:
    def buttons(dag: str, task: str) -> list[str]:
        return [link.name for link in bag.dags[dag].get_task(task).operator_extra_links]

    assert buttons("lamplight_train", "train") == ["MLflow run", "Registered model"]
    assert buttons("lamplight_train", "evaluate") == buttons("lamplight_train", "measure") == ["MLflow run", "Report", "Registered model"]
    assert buttons("multiplication", "examine") == ["MLflow run", "Report"]


def test_no_task_and_no_run_may_take_for_ever(bag: DagBag) -> None:
    tasks = {f"{name}.{task.task_id}": task.execution_timeout for name, dag in bag.dags.items() for task in dag.tasks}
    named = [name for name in tasks if not name.startswith("broken_")]
    assert named and {name for name in named if not tasks[name]} == set()
    runs = {name: dag.dagrun_timeout for name, dag in bag.dags.items() if not name.startswith("broken_")}
    assert {name for name, limit in runs.items() if not limit} == set()
    for name, dag in bag.dags.items():
        assert all(task.execution_timeout < runs[name] for task in dag.tasks if name in runs), name


def test_a_night_that_is_late_is_told_and_what_a_form_starts_is_not(bag: DagBag) -> None:
    late = {name: [alert.name for alert in dag.deadline or ()] for name, dag in bag.dags.items() if name.startswith("lamplight")}
    assert late == {f"lamplight_{stage}": ["late"] if stage in STAGES[:3] else [] for stage in STAGES}
    (alert,) = bag.dags["careful_train"].deadline
    assert (alert.callback.path, alert.callback.kwargs) == ("ghostwriter.tasks.late.tell_late", {"stem": "careful"})
    assert alert.interval < bag.dags["careful_train"].dagrun_timeout


def test_who_must_approve_may_be_named(bag: DagBag) -> None:
    approve = bag.dags["careful_train"].get_task("approve")
    assert approve.assigned_users == [{"id": "7", "name": "7"}]
