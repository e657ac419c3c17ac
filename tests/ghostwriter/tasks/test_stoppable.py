"""A task that Airflow ends: no call is sent any more, what arrives is kept, the rest is named, all within the seconds before SIGKILL."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from ghostwriter.database import open_database
from ghostwriter.home import ROOT, Home
from ghostwriter.teacher.ledger import SendRow
from ghostwriter.teacher.stop import Stop
from tests.distill_case import answers_of, pairs
from tests.teacher_server import TeacherScript, TeacherServer

PROGRAM = Path(__file__).with_name("stopped_task.py")
PATHS = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
KILL_SECONDS = 5
"""Between Airflow's SIGTERM and its SIGKILL."""


def start(*arguments: object, **settings: Any) -> subprocess.Popen[str]:
    command = [sys.executable, str(PROGRAM), *map(str, arguments)]
    return subprocess.Popen(command, text=True, env={**os.environ, **PATHS}, **settings)


def sends(home: Home) -> list[Any]:
    with open_database(home.database_url).connect() as connection:
        return list(connection.execute(select(SendRow.state, SendRow.key, SendRow.fault)))


@pytest.mark.parametrize(("latency", "ends"), [(0.5, {"paid"}), (600, {"perhaps_paid"})], ids=["arrives in time", "does not"])
def test_a_purchase_that_is_ended_sends_nothing_more_and_keeps_or_names_what_is_in_flight(
    home: Home, latency: float, ends: set[str]
) -> None:
    answers = answers_of(home, pairs(60))
    with TeacherServer(TeacherScript(latency=latency)) as teacher:
        with start("distill", home.path, answers, teacher.base_url, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as task:
            while teacher.in_flight < 4:
                time.sleep(0.01)
            begun = time.monotonic()
            task.send_signal(signal.SIGTERM)
            assert task.stdout
            told = next(line for line in task.stdout if "perhaps paid" in line or "Traceback" in line)
            took = time.monotonic() - begun
            told += task.stdout.read()
        assert [moment for moment in teacher.started if moment > begun + 1] == []
        asked = len(teacher.started)
    found = Counter(row.state for row in sends(home))
    assert task.returncode == 1 and "Interrupted: Interrupted; what was bought is kept, run again to go on." in told
    assert took < KILL_SECONDS
    assert (set(found), found.total()) == (ends, asked)
    given_up = [row for row in sends(home) if row.state == "perhaps_paid"]
    assert {row.fault for row in given_up} <= {"interrupted"} and len(given_up) <= 8
    assert (f"{len(given_up)} calls were in flight and were not waited for: counted as perhaps paid" in told) == bool(given_up)
    assert all(row.key[:12] in told for row in given_up)


def test_what_buys_nothing_is_interrupted_where_it_stands() -> None:
    with start("sleep", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as task:
        assert task.stdout and task.stdout.readline() == "asleep\n"
        task.send_signal(signal.SIGTERM)
        _, told = task.communicate(timeout=20)
    assert told.splitlines()[-1] == "KeyboardInterrupt: Airflow ended this task. What is done is kept."


def test_a_purchase_whose_time_is_up_keeps_what_is_in_flight(home: Home) -> None:
    """The alarm is sent from here, as soon as there is something in flight: Airflow's timer would do it after 600 seconds."""
    answers = answers_of(home, pairs(60))
    with TeacherServer(TeacherScript(latency=0.5)) as teacher:
        with start("distill", home.path, answers, teacher.base_url, 600, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as task:
            while teacher.in_flight < 4:
                time.sleep(0.01)
            task.send_signal(signal.SIGALRM)
            assert task.stdout
            told = task.stdout.read()
        asked = len(teacher.started)
    words = r"Interrupted: Ended by its time limit of .+ \(\[limits\] in the writer file\); what was bought is kept, run again to go on\.$"
    assert re.search(words, told.strip())
    assert Counter(row.state for row in sends(home)) == {"paid": asked}


def test_what_buys_nothing_is_interrupted_when_its_time_is_up() -> None:
    with start("sleep", 600, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as task:
        assert task.stdout and task.stdout.readline() == "asleep\n"
        task.send_signal(signal.SIGALRM)
        _, told = task.communicate(timeout=20)
    assert "AirflowTaskTimeout: Timeout, PID" in told.splitlines()[-1]
    assert "KeyboardInterrupt" not in told


def test_the_death_of_the_worker_ends_its_task() -> None:
    worker = f"import subprocess, sys; subprocess.run([sys.executable, {str(PROGRAM)!r}, 'sleep'])"
    environment = {**os.environ, **PATHS}
    with subprocess.Popen(
        [sys.executable, "-c", worker], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
    ) as running:
        assert running.stdout and running.stdout.readline() == "asleep\n"
        running.kill()
        assert running.stdout.read() == ""  # ends with the task, which holds the other end of the pipe


def test_a_stop_is_for_good_and_says_whether_anyone_listened() -> None:
    stop, told = Stop(), []
    assert not stop.ask()
    with stop.told_to(lambda: told.append("late")):
        assert told == ["late"]
        assert stop.ask()
    assert not stop.ask()
    assert told == ["late", "late"]
