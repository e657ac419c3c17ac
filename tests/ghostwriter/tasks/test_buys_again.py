"""The night asks before it buys much again; the form answers."""

from typing import Any

import pytest

from ghostwriter.distilling.distill import distill
from ghostwriter.distilling.forecast import BuysAgain
from ghostwriter.home import Home
from ghostwriter.tasks.dataset_stages import estimate_cost
from tests.distill_case import answers_of, endpoint, make_writer, pairs
from tests.teacher_server import TeacherServer


class TaskInstance:
    """Keeps what a task leaves for others."""

    def __init__(self) -> None:
        self.left: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.left[key] = value


def test_a_changed_prompt_stops_the_night_before_anything_is_asked(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(home.path))
    folder = answers_of(home, pairs(60))
    answers = str(folder)
    form = {"mode": "distilled", "only_estimate": False, "buy_again": False}
    with TeacherServer() as teacher:
        distill(make_writer(answers=60), home, folder, endpoint(teacher))
    changed, left = make_writer(answers=60, prompt="zh"), TaskInstance()
    with pytest.raises(BuysAgain, match=r"60 answers would be bought again.*60 because the prompt changed.*tick `Buy again`"):
        estimate_cost(changed, answers, form, left)
    assert left.left["estimate"]["to_buy"] == 60
    assert estimate_cost(changed, answers, {**form, "buy_again": True}, left) is True
    assert estimate_cost(changed, answers, {**form, "only_estimate": True}, left) is False
    assert estimate_cost(make_writer(answers=60), answers, form, left) is True
