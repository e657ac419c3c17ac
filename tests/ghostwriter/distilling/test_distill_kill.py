"""SIGKILL at fifty random points of a thousand calls: every answer is bought once, and what was in flight is accounted for."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest
from sqlalchemy import make_url, select

from ghostwriter.database import open_database
from ghostwriter.home import ROOT, Home
from ghostwriter.snapshot import MANIFEST, read_manifest
from ghostwriter.teacher.ledger import AnswerRow, SendRow
from tests.distill_case import answers_of, distilled, pairs
from tests.teacher_server import TeacherScript, TeacherServer

SIZES = {"sqlite": (1_000, 50), "postgresql": (300, 20)}
"""Calls and kills. Each start reads all answers there are; a thousand calls on Postgres, too, pass, and take another half minute."""


class Killer:
    """Kills the running process a moment after the teacher has got certain requests; the next process, if that one is dying already."""

    def __init__(self, seed: int, calls: int, kills: int) -> None:
        chooser = random.Random(seed)
        self.points = sorted(chooser.sample(range(5, calls - 50), kills))
        self.pauses = [chooser.uniform(0, 0.02) for _ in range(kills)]
        self.running: int | None = None

    def __call__(self, number: int) -> None:
        if self.points and number >= self.points[0] and self.running:
            child, self.running = self.running, None
            self.points.pop(0)
            threading.Timer(self.pauses.pop(), os.kill, (child, signal.SIGKILL)).start()


@pytest.mark.timeout(900)  # four minutes were seen where ten others wanted the same core
def test_fifty_kills_in_a_thousand_calls_lose_nothing_and_buy_nothing_twice(either_database: Home) -> None:
    home, kills = either_database, 0
    calls, wanted_kills = SIZES[make_url(home.database_url).get_backend_name()]
    killer = Killer(1, calls, wanted_kills)
    answers = answers_of(home, pairs(120))
    with TeacherServer(TeacherScript(latency=0.01, words=(40, 50), fault=killer)) as teacher:
        script = Path(__file__).with_name("killed_distill.py")
        command = [sys.executable, str(script), str(home.path), str(answers), teacher.base_url, str(calls)]
        paths = {"PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **paths}) as runner:
            assert runner.stdin and runner.stdout
            status = -1
            while status != 0:
                runner.stdin.write("run\n")
                runner.stdin.flush()
                killer.running = int(runner.stdout.readline())
                status = int(runner.stdout.readline().split()[1])
                killer.running = None
                assert status in (0, signal.SIGKILL)
                kills += status == signal.SIGKILL
            runner.stdin.close()
        asked = Counter(json.dumps(messages) for messages in teacher.prompts)
    assert kills == wanted_kills
    folder = next(home.datasets("tester").glob(f"*/{MANIFEST}")).parent
    assert len(distilled(folder)) == calls
    with open_database(home.database_url).connect() as connection:
        sends = connection.execute(select(SendRow.key, SendRow.state, SendRow.worst, SendRow.cost)).all()
        answered = set(connection.execute(select(AnswerRow.key)).scalars())
    paid = Counter(row.key for row in sends if row.state == "paid")
    perhaps = [row for row in sends if row.state == "perhaps_paid"]
    assert len(answered) == calls
    assert set(paid) == answered
    assert max(paid.values()) == 1
    assert {row.state for row in sends} == {"paid", "perhaps_paid"}
    assert 0 < len(perhaps) <= 8 * kills
    assert calls <= sum(asked.values()) <= calls + len(perhaps)
    cost = read_manifest(folder).facts["cost"]
    assert Decimal(cost["run_perhaps_paid"]) == sum(row.worst for row in perhaps)
    assert Decimal(cost["run"]) == sum(row.worst for row in perhaps) + sum(row.cost for row in sends if row.state == "paid")
