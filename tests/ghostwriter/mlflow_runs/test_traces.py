"""Votes and one in a hundred of the teacher's calls in MLflow: each once, with what it is about, and nothing secret."""

import json
import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from ghostwriter.database import open_database
from ghostwriter.distilling.distill import distill
from ghostwriter.errors import TrackingError
from ghostwriter.home import Home
from ghostwriter.mlflow_runs import teacher_traces
from ghostwriter.mlflow_runs.teacher_traces import is_sampled, trace_teacher
from ghostwriter.mlflow_runs.vote_traces import trace_votes
from ghostwriter.votes.records import all_votes
from tests.distill_case import answers_of, endpoint, make_writer, pairs
from tests.teacher_server import KEY, TeacherScript, TeacherServer
from tests.vote_case import QUESTION, vote


@pytest.fixture
def client(empty_store: Path, tmp_path: Path) -> MlflowClient:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    client.create_experiment("tester", artifact_location=str(tmp_path / "artifacts"))
    return client


def test_a_vote_is_feedback_on_a_trace_of_each_answer_and_written_once(home: Home, client: MlflowClient) -> None:
    engine = open_database(home.database_url)
    vote(engine, "b", versions=("3", "base"))
    assert trace_votes(client, engine, "tester") == 1
    assert trace_votes(client, engine, "tester") == 0
    row = all_votes(engine, "tester")[0]
    assert row.trace_a
    assert row.trace_b
    experiment = client.get_experiment_by_name("tester")
    assert experiment
    assert len(client.search_traces(locations=[experiment.experiment_id])) == 2
    for name, text, version, value in ((row.trace_a, "Because of oil.", "3", "worse"), (row.trace_b, "Magic.", "base", "better")):
        trace = client.get_trace(name)
        span = trace.data.spans[0]
        assert span.inputs == {"messages": [{"role": "user", "content": QUESTION}]}
        assert span.outputs["choices"][0]["message"]["content"] == text
        assert (span.attributes["version"], span.attributes["seed"]) == (version, 7)
        (feedback,) = trace.info.assessments
        assert (feedback.name, feedback.value, feedback.source.source_id) == ("preferred", value, "ann")


def test_a_vote_whose_traces_are_there_already_gets_no_second_ones(home: Home, client: MlflowClient) -> None:
    """As after a kill between MLflow and the database."""
    engine = open_database(home.database_url)
    vote(engine, "tie")
    trace_votes(client, engine, "tester")
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE votes SET trace_a = NULL, trace_b = NULL")
    assert trace_votes(client, engine, "tester") == 1
    experiment = client.get_experiment_by_name("tester")
    assert experiment
    traces = client.search_traces(locations=[experiment.experiment_id])
    assert [len(trace.info.assessments) for trace in traces] == [1, 1]


def test_while_mlflow_is_away_votes_wait(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    engine = open_database(home.database_url)
    vote(engine, "a")
    with pytest.raises(TrackingError, match="They are kept, and go there next time"):
        trace_votes(MlflowClient("http://127.0.0.1:1"), engine, "tester")
    assert all_votes(engine, "tester")[0].trace_a is None


def test_sampled_calls_of_the_teacher_show_prompt_answer_tokens_and_cost_and_no_key(
    home: Home, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(teacher_traces, "ONE_IN", 5)  # of thirty calls one in a hundred may be none
    writer = make_writer(answers=20)
    with TeacherServer(TeacherScript()) as teacher:
        dataset = distill(writer, home, answers_of(home, pairs(30)), endpoint(teacher))
        prompts = teacher.prompts
    engine = open_database(home.database_url)
    written = trace_teacher(client, engine, writer, dataset)
    assert 0 < written < 20
    assert trace_teacher(client, engine, writer, dataset) == 0
    experiment = client.get_experiment_by_name("tester")
    assert experiment
    traces = client.search_traces(locations=[experiment.experiment_id])
    assert len(traces) == written
    for trace in traces:
        span = trace.data.spans[0]
        assert span.inputs["messages"] in prompts
        assert int(span.attributes["prompt_tokens"]) > 100
        assert trace.info.tags["ghostwriter.kind"] == "teacher call"
        assert json.loads(trace.info.tags["ghostwriter.examples"])
        assert KEY not in trace.to_json()


def test_one_key_in_a_hundred_is_sampled() -> None:
    assert 70 <= sum(is_sampled(f"{number * 2_654_435_761 % 2**32:08x}") for number in range(10_000)) <= 130
