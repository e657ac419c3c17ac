"""`python -m ghostwriter distill`, as a person runs it."""

import argparse
import json
import logging
import os
import signal
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import select

from ghostwriter.commands import distill as command
from ghostwriter.database import open_database
from ghostwriter.errors import WriterFileError
from ghostwriter.home import ROOT, Home
from ghostwriter.snapshot import newest
from ghostwriter.teacher.batch_ledger import BatchLedger, PlannedSend
from ghostwriter.teacher.ledger import SendRow
from tests.distill_case import answers_of, pairs
from tests.teacher_server import KEY, TeacherScript, TeacherServer

WRITER = """
name = "Tess Ter"
language = "en"
source = { kind = "jsonl", account = "none" }
teacher = { connection = "none", model = "test-teacher", answers = 20, max_tokens = 400 }
budget = { input_price = 2.5, output_price = 10.0, cap = 1.0 }
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    (tmp_path / "writers").mkdir()
    (tmp_path / "writers" / "tester.toml").write_text(WRITER)
    (tmp_path / "key").write_text(f"{KEY}\n")
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path / "writers"))
    home = Home(tmp_path / "var")
    answers_of(home, pairs(60))
    return home


def run(home: Home, teacher: TeacherServer, *arguments: str) -> int:
    parser = argparse.ArgumentParser()
    command.add_commands(parser.add_subparsers(required=True))
    access = ["--base-url", teacher.base_url, "--key-file", str(home.path.parent / "key")]
    chosen = parser.parse_args(["distill", "tester", "--home", str(home.path), *access, *arguments])
    return int(chosen.run(chosen))


def test_a_dry_run_prints_plan_and_cost_and_asks_nothing(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with TeacherServer() as teacher:
        assert run(home, teacher, "--dry-run") == 0
        assert teacher.requests == 0
    shown = capsys.readouterr().out
    assert "Plan: 20 answers of test-teacher (prompt en " in shown
    assert "20 to buy: 20 because never asked." in shown
    assert "Cost: about 0.0" in shown
    assert "cap 1.0000" in shown
    assert not home.datasets("tester").exists()


def test_a_dry_run_as_json_can_be_read(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with TeacherServer() as teacher:
        run(home, teacher, "--dry-run", "--json")
    plan = json.loads(capsys.readouterr().out)
    assert (plan["wanted"], plan["to_buy"], plan["cap"]) == (20, 20, "1.0")


def test_self_instruct_plans_with_the_student_and_refuses_without_one(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    file = home.path.parent / "writers" / "tester.toml"
    with TeacherServer() as teacher:
        with pytest.raises(WriterFileError, match=r"Add \[student\] with connection"):
            run(home, teacher, "--dry-run", "--mode", "self-instruct")
        file.write_text(f'{WRITER}student = {{ connection = "own", model = "small-student" }}\n')
        assert run(home, teacher, "--dry-run", "--mode", "self-instruct") == 0
        assert "Plan: 20 answers of small-student (prompt en " in capsys.readouterr().out
        assert run(home, teacher, "--mode", "self-instruct", "--model", "test-teacher", "--wanted", "6", "--json") == 0
        assert teacher.completions == 6
    facts = json.loads(capsys.readouterr().out)
    assert (facts["mode"], facts["teacher"]["model"], facts["rows"]["distilled.jsonl"]) == ("self-instruct", "test-teacher", 6)


def test_the_newest_answers_become_a_dataset_with_a_summary(
    home: Home, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with TeacherServer() as teacher:
        assert run(home, teacher, "--wanted", "12") == 0
    shown = capsys.readouterr()
    assert "distilled.jsonl       12 rows" in shown.out
    assert "12/12 calls: 12 accepted, 0 rejected, 0 failed" in caplog.text
    assert KEY not in shown.out + shown.err + caplog.text


def test_the_nights_go_on_from_what_was_distilled_as_the_writer_file_asks_and_from_nothing_else(home: Home) -> None:
    with TeacherServer() as teacher:
        assert run(home, teacher) == 0
        asked_for = newest(home.datasets("tester"))
        assert run(home, teacher, "--wanted", "6") == 0
    assert len(list(home.datasets("tester").glob("*/manifest.json"))) == 2
    assert newest(home.datasets("tester")) == asked_for


def test_the_result_as_json_can_be_read(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    with TeacherServer() as teacher:
        run(home, teacher, "--json")
    facts = json.loads(capsys.readouterr().out)
    assert facts["rows"]["distilled.jsonl"] == 20
    assert facts["counts"] == {"planned": 20, "accepted": 20, "rejected": {}, "failed": {}}


def test_ctrl_c_keeps_what_came_and_leaves_nothing_in_flight(home: Home) -> None:
    with TeacherServer(TeacherScript(latency=0.3)) as teacher:
        script = "import sys; from ghostwriter.__main__ import main; sys.exit(main())"
        access = ["--base-url", teacher.base_url, "--key-file", str(home.path.parent / "key"), "--wanted", "500"]
        command = [sys.executable, "-c", script, "distill", "tester", "--home", str(home.path), *access]
        paths = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **paths}) as running:
            while teacher.completions < 20:
                time.sleep(0.01)
            running.send_signal(signal.SIGINT)
            _, told = running.communicate(timeout=60)
        bought = teacher.completions
    assert running.returncode == 130, told
    assert "Interrupted. What was bought is kept: run the same command again to go on." in told
    with open_database(home.database_url).connect() as connection:
        states = connection.execute(select(SendRow.state)).scalars().all()
    assert set(states) == {"paid"}
    assert len(states) == bought < 500


def test_forgetting_a_batch_only_forgets(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    engine = open_database(home.database_url)
    BatchLedger(engine, "tester").intend("run", [PlannedSend("s1", {"key": "k"}, Decimal(1))])
    with TeacherServer() as teacher:
        assert run(home, teacher, "--forget-batch") == 0
        assert run(home, teacher, "--forget-batch") == 0
        assert teacher.requests == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].endswith("is given up; nothing was asked.")
    assert shown[1] == "No batch is open."
