"""Mode `self-instruct`: the student is asked, and its answers stay its own."""

from pathlib import Path

import pytest

from ghostwriter.distilling.distill import distill, estimate
from ghostwriter.errors import WriterFileError
from ghostwriter.home import Home
from ghostwriter.snapshot import read_manifest
from tests.distill_case import PRICES, answers_of, distilled, endpoint, make_writer, pairs
from tests.teacher_server import TeacherServer, invent

EXTRA = [f"{invent([{'role': 'user', 'content': f'extra {number}'}], (9, 12))}?" for number in range(952)]


def test_self_instruct_asks_the_student_the_same_prompts_and_never_takes_the_teachers_answers(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10, parameters={"top_p": 0.9}, requests_per_minute=1e6, budget=PRICES)
    with TeacherServer() as teacher, TeacherServer() as student:
        answers = answers_of(home, pairs(60))
        taught = distill(writer, home, answers, endpoint(teacher))
        plan = estimate(writer, home, answers, mode="self-instruct")
        assert (plan.to_buy, plan.because, plan.cost) == (10, {"never asked": 10}, 0)
        own = distill(writer, home, answers, endpoint(student), mode="self-instruct")
        again = distill(writer, home, answers, endpoint(student), mode="self-instruct")
        assert (teacher.completions, student.completions, again) == (10, 10, own)
        assert sorted(map(str, student.prompts)) == sorted(map(str, teacher.prompts))
    assert {row["source"] for row in distilled(own)} == {"self-instruct"}
    assert not {row["id"] for row in distilled(own)} & {row["id"] for row in distilled(taught)}
    facts = read_manifest(own).facts
    assert (facts["mode"], facts["cost"]["run"]) == ("self-instruct", "0")
    assert set(facts["teacher"]["parameters"]) == {"model", "temperature", "max_tokens"}


def test_the_students_answers_stay_its_own_where_the_teacher_is_the_same_model_with_the_same_settings(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer(answers=10)
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        distill(writer, home, answers, endpoint(teacher), mode="self-instruct")
        distill(writer, home, answers, endpoint(teacher))
        assert teacher.completions == 20


def test_self_instruct_without_a_student_is_refused_before_any_call(tmp_path: Path) -> None:
    home, writer = Home(tmp_path), make_writer().model_copy(update={"student": None})
    with TeacherServer() as teacher:
        answers = answers_of(home, pairs(60))
        with pytest.raises(WriterFileError, match=r"does not say where it is served\. Add \[student\]"):
            distill(writer, home, answers, endpoint(teacher), mode="self-instruct")
        with pytest.raises(WriterFileError, match=r"Add \[student\]"):
            estimate(writer, home, answers, mode="self-instruct")
        assert teacher.requests == 0
