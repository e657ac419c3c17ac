"""What is purged is nowhere any more; what remains is said; a kill anywhere and another run end the same."""

import fcntl
import json
import os
import shutil
import signal
import sqlite3
from decimal import Decimal
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from ghostwriter.__main__ import main
from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.collecting.archive import FULL, Answer, new_crawl, save_records
from ghostwriter.collecting.collect import collect
from ghostwriter.collecting.purged import PurgeRow
from ghostwriter.collecting.sources.record import Record
from ghostwriter.database import open_database
from ghostwriter.distilling.distill import distill
from ghostwriter.distilling.trained_on import trained_on
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home
from ghostwriter.mlflow_runs import teacher_traces
from ghostwriter.mlflow_runs.teacher_traces import trace_teacher
from ghostwriter.mlflow_runs.vote_traces import trace_votes
from ghostwriter.purging import rows
from ghostwriter.purging.folders import StillAtWork
from ghostwriter.purging.purge import NothingToPurge
from ghostwriter.snapshot import set_current, write_snapshot
from ghostwriter.tasks.chain import Level, read_level
from ghostwriter.teacher.batch_ledger import BatchLedger, PlannedSend
from ghostwriter.teacher.ledger import AnswerRow, SendRow
from tests.distill_case import endpoint
from tests.ghostwriter.purging.night_to_purge import (
    ANSWER,
    SECRET,
    leave_a_night,
    places_of,
    purged,
    repeat_what_was_shown,
    store,
    writer_of,
)
from tests.teacher_server import TeacherScript, TeacherServer


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a night leaves: a folder with the home, the source file, and MLflow's store; made once, copied for each test."""
    folder = tmp_path_factory.mktemp("night")
    leave_a_night(folder)
    return folder


@pytest.fixture
def copy(night: Path, tmp_path: Path) -> Path:
    """The same in a place of its own: paths in rows and requests are moved with it."""
    folder = tmp_path / "night"
    shutil.copytree(night, folder)
    with sqlite3.connect(folder / "mlflow.db") as connection:
        for table, column in (("runs", "artifact_uri"), ("experiments", "artifact_location")):
            connection.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (str(night), str(folder)))
    mlflow.set_tracking_uri(store(folder))
    return folder


def test_an_answer_that_is_purged_is_in_no_file_any_more(copy: Path) -> None:
    before = places_of(SECRET, copy)
    holders = {"answers.jsonl", "ghostwriter.db", "samples.jsonl", "0123.jsonl", "report.html", "distilled.jsonl"}
    assert {Path(place).name for place in before} >= holders
    done = purged(copy)
    assert places_of(SECRET, copy) == []
    assert {**done.counts, "teacher_answers": 0} == {
        "mlflow_artifacts": 2, "run_folders": 1, "datasets": 1, "snapshots": 1, "other_answers": 1,
        "archived": 1, "revisions": 0, "teacher_answers": 0,
        "votes": 2, "chats": 1,
    }  # fmt: skip
    assert 2 <= done.counts["teacher_answers"] < 30
    kept = trained_on(Home(copy / "home").datasets("tester"))
    assert len(kept) > 20 and ANSWER.replace("a", "q") not in kept  # nobody holds out what was trained on
    assert "version 1 of ghostwriter-tester" in done.remains[0]


def traces(copy: Path, experiment: str = "tester") -> list[str]:
    """All traces of the writer, as JSON."""
    client = MlflowClient(store(copy))
    found = client.get_experiment_by_name(experiment)
    return [trace.to_json() for trace in client.search_traces(locations=[found.experiment_id])] if found else []


@pytest.mark.parametrize(("answer", "left"), [(ANSWER, 4), (None, 0)], ids=["answer", "writer"])
def test_traces_of_votes_and_calls_with_it_go_too(copy: Path, answer: str | None, left: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(teacher_traces, "ONE_IN", 8)
    home, client = Home(copy / "home"), MlflowClient(store(copy))
    engine = open_database(home.database_url)
    assert trace_votes(client, engine, "tester") == 4
    calls = trace_teacher(client, engine, writer_of(copy), next(home.datasets("tester").glob("*/manifest.json")).parent)
    before = traces(copy)
    assert len(before) == 8 + calls
    assert any(SECRET in trace for trace in before)
    experiment = client.get_experiment_by_name("tester")
    assert experiment
    done = purged(copy, answer)
    name = "tester" if answer else f"purged {experiment.experiment_id}"
    after = traces(copy, name)
    assert not [trace for trace in after if SECRET in trace]
    assert sum('"voted answer"' in trace for trace in after) == left
    assert len(after) > left or answer is None
    assert any("until it is vacuumed" in place for place in done.remains)


def test_the_audit_line_names_who_and_what_without_text(copy: Path) -> None:
    purged(copy)
    with Session(open_database(Home(copy / "home").database_url)) as session:
        row = session.scalars(select(PurgeRow)).one()
        assert (row.writer, row.answer, row.who, json.loads(row.found)["archived"]) == ("tester", ANSWER, "me", 1)
        assert row.finished is not None
        assert session.scalar(select(func.count()).select_from(SendRow).where(SendRow.state == "paid")) >= 60


def test_what_was_purged_is_not_collected_again_and_the_next_night_goes_on_without_it(copy: Path) -> None:
    purged(copy)
    home, writer = Home(copy / "home"), writer_of(copy)
    report = collect(writer, home)
    assert (report.new, report.known, report.purged) == (0, 39, 1)
    answers = snapshot_answers(writer, home)
    with TeacherServer(TeacherScript(answer=repeat_what_was_shown)) as teacher:
        distill(writer, home, answers, endpoint(teacher))
        assert 0 < teacher.completions < 30  # only what was asked with it is bought again
    assert places_of(SECRET, copy) == []


def test_what_was_purged_is_followed_by_the_next_night_and_not_by_an_experiment(copy: Path) -> None:
    """An older dataset that does not hold the answer stays, and the nights do not go on from it."""
    home = Home(copy / "home")
    (nightly,) = (path.parent for path in home.datasets("tester").glob("*/manifest.json"))
    (answers,) = (path.parent for path in home.answers("tester").glob("*/manifest.json"))
    set_current(nightly)
    experiment = write_snapshot(
        home.datasets("tester"), "dataset", "tester", {"direct.jsonl": [{"id": "a1", "question_id": "q1"}]}, parents=("older",)
    )
    older = write_snapshot(home.answers("tester"), "answers", "tester", {"answers.jsonl": [{"id": "a1", "question_id": "q1"}]})
    purged(copy)
    assert [folder.exists() for folder in (nightly, answers, experiment, older)] == [False, False, True, True]
    assert read_level(home, "tester") == Level(None, None, trained=False)


def test_a_whole_writer_is_purged_and_no_other(copy: Path) -> None:
    home = Home(copy / "home")
    with Session(open_database(home.database_url)) as session, session.begin():
        crawl = new_crawl(session, "other", "x", FULL)
        save_records(session, crawl, [_record()])
    done = purged(copy, None)
    assert places_of(SECRET, copy) == []
    assert places_of("word", copy) == []
    assert (done.counts["archived"], done.counts["mlflow_runs"]) == (40, 2)
    assert (done.counts["votes"], done.counts["chats"]) == (4, 2)
    assert "tester.toml" in done.remains[0]
    with Session(open_database(home.database_url)) as session:
        assert session.scalars(select(Answer.writer)).all() == ["other"]
        assert session.scalars(select(AnswerRow)).all() == []
    assert [path.name for path in (home.path / "answers").iterdir()] == []
    assert MlflowClient(store(copy)).get_experiment_by_name("tester") is None


def _record() -> Record:
    return Record(id="1", question_id="1", question="Why?", url="", author_id="", body="So.", created=1, updated=1)


@pytest.mark.parametrize("answer", [ANSWER, None], ids=["answer", "writer"])
def test_a_purge_killed_at_any_step_is_finished_by_the_next(copy: Path, answer: str | None) -> None:
    kills = 0
    for step in (1, 2, 1, 3, 1, 1):
        process = get_context("fork").Process(target=_purge_and_die, args=(copy, answer, step))
        process.start()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
    assert kills >= 4
    purged(copy, answer)
    assert places_of(SECRET, copy) == []
    with Session(open_database(Home(copy / "home").database_url)) as session:
        assert None not in session.scalars(select(PurgeRow.finished)).all()


def _purge_and_die(folder: Path, answer: str | None, step: int) -> None:
    """Purge, and be killed before the `step`th thing is removed."""
    left = count(1)

    def deadly(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(left) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    Path.rename = deadly(Path.rename)  # type: ignore[method-assign]
    shutil.rmtree = deadly(shutil.rmtree)
    rows.delete = deadly(rows.delete)
    purged(folder, answer)


def test_nothing_is_removed_while_a_training_works_on_it(copy: Path) -> None:
    before = places_of(SECRET, copy)
    with (copy / "home" / "runs" / "tester" / "0123456789abcdef" / "lock").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(StillAtWork, match="Let it end, or end its task; then run this again"):
            purged(copy)
    assert places_of(SECRET, copy) == before


def test_a_writer_whose_file_is_gone_is_purged_by_name(
    copy: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store(copy))
    monkeypatch.setattr("builtins.input", lambda _prompt: "another")
    assert main(["purge", "tester", "--home", str(copy / "home")]) == 1
    assert places_of(SECRET, copy) != []
    assert main(["purge", "tester", "--home", str(copy / "home"), "--yes"]) == 0
    assert places_of(SECRET, copy) == []
    assert "40 archived" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["purge", "../tester", "--home", str(copy / "home"), "--yes"])


def test_nothing_is_removed_while_a_batch_is_with_the_teacher(copy: Path) -> None:
    before = places_of(SECRET, copy)
    engine = open_database(Home(copy / "home").database_url)
    BatchLedger(engine, "tester").intend("run", [PlannedSend("s1", {"key": "k"}, Decimal(1))])
    with pytest.raises(GhostwriterError, match="distill tester --forget-batch"):
        purged(copy)
    assert places_of(SECRET, copy) == before


def test_an_unknown_answer_is_named(copy: Path) -> None:
    with pytest.raises(NothingToPurge, match=r"tester has no answer 'a99'.*export answers tester"):
        purged(copy, "a99")
