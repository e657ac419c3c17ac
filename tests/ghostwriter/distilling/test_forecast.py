"""What the page says before any snapshot is read, and what a tracking server is told after."""

import re
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from ghostwriter.distilling.dataset import dataset_metrics
from ghostwriter.distilling.distill import distill
from ghostwriter.distilling.prompt import load_prompt
from ghostwriter.distilling.typical_cost import SAMPLE, sampled_rows, typical_cost
from ghostwriter.home import Home
from ghostwriter.mlflow_runs.dataset_run import record_dataset
from ghostwriter.snapshot import read_manifest
from tests.distill_case import PRICES, answers_of, demo_pairs, endpoint, make_writer, pairs
from tests.teacher_server import TeacherScript, TeacherServer

DAG_RUN = SimpleNamespace(dag_id="tester_distill", run_id="run 1", run_after=datetime(2026, 11, 26, 3, tzinfo=UTC))


def test_what_an_answer_costs_is_said_at_typical_lengths_before_anything_is_collected(tmp_path: Path) -> None:
    writer = make_writer(answers=10_000, budget={**PRICES, "cap": Decimal(50)})
    assert typical_cost(writer, Home(tmp_path)) == (
        "About 760 tokens in and 200 out an answer (a guess: nothing was collected yet): 0.0039 each, 39.0000 for 10,000 (cap 50.0000), "
        "less what the ledger holds already. The run's log gives the exact plan before anything is spent."
    )


@pytest.mark.parametrize(("language", "corpus", "words"), [("en", "lamplight", (80, 140)), ("zh", "laocheng", (230, 300))])
def test_what_is_said_is_within_15_percent_of_what_the_test_teacher_costs(
    tmp_path: Path, language: str, corpus: str, words: tuple[int, int]
) -> None:
    home, writer = Home(tmp_path), make_writer(language, answers=60, budget=PRICES)
    answers = answers_of(home, demo_pairs(corpus))
    shown = re.search(r"each, ([\d.]+) for 60", typical_cost(writer, home))
    assert shown
    with TeacherServer(TeacherScript(words=words)) as teacher:
        actual = Decimal(read_manifest(distill(writer, home, answers, endpoint(teacher))).facts["cost"]["run"])
    assert actual * Decimal("0.85") <= Decimal(shown[1]) <= actual * Decimal("1.15")


@pytest.mark.parametrize("number", [0, 1, 40, 2_000])
def test_of_many_answers_it_looks_at_some_from_all_over_and_of_few_at_all(tmp_path: Path, number: int) -> None:
    home, writer = Home(tmp_path), make_writer(budget=PRICES)
    rows = [{**row, "text": row["text"] * (1 + index // 1_000)} for index, row in enumerate(pairs(number))]
    looked_at = [row["id"] for row in sampled_rows(answers_of(home, rows) / "answers.jsonl")]
    assert len(looked_at) == len(set(looked_at)) == min(number, len(looked_at), SAMPLE + 1)
    assert number > 40 or len(looked_at) == number
    shares = [sum(int(name[1:]) < border for name in looked_at) for border in (500, 1_000)]
    assert number <= 40 or (len(looked_at) > 150 and shares == pytest.approx([len(looked_at) / 6, len(looked_at) / 3], abs=8))
    assert not number or f"the lengths of {number:,} answers" in typical_cost(writer, home)


def test_a_snapshot_that_was_cut_costs_the_page_nothing_but_the_figure(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(budget=PRICES)
    folder = answers_of(home, pairs(40))
    (folder / "answers.jsonl").write_text('{"question": ')
    assert f"a guess: {folder.name} cannot be read" in typical_cost(writer, home)


def test_without_prices_it_says_so(tmp_path: Path) -> None:
    assert typical_cost(make_writer(), Home(tmp_path)) == "The writer file names no prices, so no cost can be estimated."


def test_a_datasets_totals_are_numbers_with_names(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with TeacherServer() as teacher:
        folder = distill(make_writer(answers=10, budget=PRICES), home, answers_of(home, pairs(40)), endpoint(teacher))
    metrics = dataset_metrics(folder)
    assert (metrics["dataset/rows/distilled"], metrics["teacher/calls/planned"], metrics["teacher/calls/accepted"]) == (10, 10, 10)
    assert 0.01 < metrics["teacher/cost/run"] < 0.05
    assert metrics["diversity/writer/words"] == metrics["diversity/teacher/words"]


def test_a_datasets_totals_are_a_finished_run_that_a_retry_finds_again(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    shutil.copy(empty_store, tmp_path / "mlflow.db")
    home, writer, uri = Home(tmp_path), make_writer(answers=10, budget=PRICES), f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    client = MlflowClient(uri)
    client.create_experiment("tester", artifact_location=str(tmp_path / "artifacts"))
    with TeacherServer() as teacher:
        folder = distill(writer, home, answers_of(home, pairs(40)), endpoint(teacher))
    run_ids = {record_dataset(client, writer, folder, DAG_RUN, uri) for _ in range(2)}
    run = client.get_run(run_ids.pop())
    assert not run_ids
    assert run.info.status == "FINISHED"
    assert run.data.metrics == dataset_metrics(folder)
    assert run.data.tags["ghostwriter.mode"] == "distilled"
    assert (run.info.run_name, run.data.tags["ghostwriter.kind"]) == ("dataset 2026-11-26 03:00", "dataset")
    assert [(one.dataset.name, one.dataset.digest) for one in run.inputs.dataset_inputs] == [("tester", read_manifest(folder).digest[:32])]
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["manifest.json"]
    prompt = load_prompt("en")
    assert run.data.tags["ghostwriter.prompt"] == "prompts:/ghostwriter-teacher-en/1"
    assert [(one.tags["prompt_hash"], one.template) for one in client.search_prompt_versions("ghostwriter-teacher-en")] == [
        (prompt.hash, prompt.template)
    ]
    assert prompt.template.startswith("Here are questions, and how {{writer}} answered them.\n\nQuestion: {{question}}")
