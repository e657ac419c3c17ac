"""What a night leaves in every place that a purge must look into, and where words of an answer stand."""

import json
from pathlib import Path

from mlflow import MlflowClient

from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.collect import collect
from ghostwriter.database import open_database
from ghostwriter.distilling.distill import distill
from ghostwriter.home import Home
from ghostwriter.mlflow_runs.pipeline_run import open_run
from ghostwriter.purging.purge import Purged, purge
from ghostwriter.snapshot import read_rows
from ghostwriter.votes.records import keep_chat
from ghostwriter.writer import Writer
from tests.distill_case import endpoint, make_writer, pairs
from tests.teacher_server import TeacherScript, TeacherServer, invent
from tests.vote_case import SAMPLING, comparison, vote

ANSWER, SECRET = "a7", "marzipan orchid seventeen"
"""The answer to be purged, and words that stand in it and nowhere else."""


def leave_a_night(folder: Path) -> None:
    """In the folder: the home, the source file, and MLflow's store."""
    home, writer = Home(folder / "home"), writer_of(folder)
    lines = [{"id": row["id"], "question": row["question"], "answer": row["text"]} for row in pairs(40)]
    next(line for line in lines if line["id"] == ANSWER)["answer"] += f" {SECRET}."
    (folder / "source.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    collect(writer, home)
    answers = snapshot_answers(writer, home)
    with TeacherServer(TeacherScript(answer=repeat_what_was_shown)) as teacher:
        dataset = distill(writer, home, answers, endpoint(teacher))
    run = home.runs("tester") / "0123456789abcdef" / "evaluation-1"
    run.mkdir(parents=True)
    (run.parent / "request.json").write_text(json.dumps({"dataset": str(dataset)}))
    (run / "samples.jsonl").write_text(json.dumps({"truth": SECRET}))
    export = home.exports("tester") / "v1-gguf-01234567"
    export.mkdir(parents=True)
    (export / "proof.json").write_text(json.dumps({"answers": [SECRET]}))
    panel = home.panels("tester") / "0123456789ab"
    panel.mkdir(parents=True)
    (panel / "panel.html").write_text(SECRET)
    home.kept_answers.mkdir(parents=True)
    (home.kept_answers / "0123.jsonl").write_text(json.dumps({"of": "4567", "text": SECRET}) + "\n")
    asked = {
        "id": "o1",
        "question_id": next(row["question_id"] for row in read_rows(answers, "answers.jsonl") if row["id"] == ANSWER),
        "html": SECRET,
    }
    home.contrast("tester").mkdir(parents=True)
    (home.contrast("tester") / "answers.jsonl").write_text(json.dumps(asked) + "\n")
    (home.path / "errors").mkdir()
    (home.path / "errors" / "tester-20261130.txt").write_text(SECRET)
    _log_run(MlflowClient(store(folder)), folder, dataset)
    _vote(home, [line for line in lines if line["id"] in (ANSWER, "a8")])


def _vote(home: Home, lines: list[dict[str, str]]) -> None:
    """Votes and a chat on the answer's question, ones that quote it, and as many on another that stay."""
    engine = open_database(home.database_url)
    for line in lines:
        quoted = " ".join(line["answer"].split()[-14:])
        vote(engine, "a", writer="tester", question=f"{line['question']}!")
        vote(engine, "b", b=f"As somebody said: {quoted}", writer="tester")
        talked = comparison(question=f"Who said {quoted}")
        keep_chat(engine, "tester", "ann", talked.messages, talked.a, SAMPLING)
    engine.dispose()


def writer_of(folder: Path) -> Writer:
    writer = make_writer(answers=60)
    return writer.model_copy(update={"source": writer.source.model_copy(update={"account": str(folder / "source.jsonl")})})


def store(folder: Path) -> str:
    return f"sqlite:///{folder}/mlflow.db"


def repeat_what_was_shown(messages: list[dict[str, str]]) -> str:
    """A teacher that repeats what it was shown."""
    words = invent(messages, (80, 160))
    return f"{words} {SECRET}." if SECRET in messages[0]["content"] else words


def _log_run(client: MlflowClient, folder: Path, dataset: Path) -> None:
    client.create_experiment("tester", artifact_location=str(folder / "artifacts"))
    run_id = open_run(client, "tester", "candidate", "tester_train/1", "http://airflow")
    client.log_param(run_id, "dataset", dataset.name)
    child = client.create_run(client.get_run(run_id).info.experiment_id, tags={"mlflow.parentRunId": run_id}).info.run_id
    client.log_text(child, SECRET, "report.html")
    client.log_text(child, SECRET, "content/verdicts.jsonl")
    client.log_text(child, "weights", "adapter/adapter_model.safetensors")
    client.create_registered_model("ghostwriter-tester")
    digest = json.loads((dataset / "manifest.json").read_text())["digest"]
    client.create_model_version("ghostwriter-tester", source=str(folder / "artifacts"), run_id=child, tags={"dataset": digest})


def purged(folder: Path, answer: str | None = ANSWER) -> Purged:
    return purge("tester", Home(folder / "home"), MlflowClient(store(folder)), answer, "me")


def places_of(words: str, folder: Path) -> list[str]:
    """Every file that holds the words, but the source, which is the writer's own."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != "source.jsonl")
    return sorted(str(path.relative_to(folder)) for path in files if words.encode() in path.read_bytes())
