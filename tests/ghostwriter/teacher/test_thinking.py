"""Teachers that think before they answer: turned off or bounded, paid for in the estimate, never trained on."""

import logging
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from ghostwriter.commands.first_hour.writer_file import writer_text
from ghostwriter.distilling.batch import apply_batch, open_batch
from ghostwriter.distilling.distill import distill, estimate
from ghostwriter.home import Home
from ghostwriter.snapshot import read_manifest
from ghostwriter.teacher.presets import load_presets
from tests.batch_teacher import BatchTeacher
from tests.distill_case import PRICES, answers_of, endpoint, make_writer, pairs
from tests.teacher_server import TeacherScript, TeacherServer

THOUGHTS = "seeded thought " * 50
BOUNDED = {"enable_thinking": True, "thinking_budget": 40}


def all_text(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8") for path in folder.iterdir())


def test_thoughts_are_paid_for_and_never_trained_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home, writer = Home(tmp_path), make_writer(answers=20, budget=PRICES, parameters=BOUNDED)
    answers = answers_of(home, pairs(40))
    with TeacherServer(TeacherScript(thoughts=THOUGHTS)) as teacher, caplog.at_level(logging.WARNING):
        folder = distill(writer, home, answers, endpoint(teacher))
    quiet = Home(tmp_path / "quiet")
    with TeacherServer() as teacher:
        without = distill(make_writer(answers=20, budget=PRICES), quiet, answers_of(quiet, pairs(40)), endpoint(teacher))
    assert "seeded thought" not in all_text(folder)
    spent, plain = (Decimal(read_manifest(made).facts["cost"]["run"]) for made in (folder, without))
    assert spent - plain == 20 * 40 * Decimal(str(PRICES["output_price"])) / 1_000_000
    assert "thinks before it answers" not in caplog.text


def test_an_estimate_and_a_cap_count_the_thoughts_before_the_first_call(tmp_path: Path) -> None:
    home = Home(tmp_path)
    answers = answers_of(home, pairs(40))
    plain, thinking = (
        estimate(make_writer(answers=20, budget=PRICES, parameters=parameters), home, answers) for parameters in ({}, BOUNDED)
    )
    more = 40 * Decimal(str(PRICES["output_price"])) / 1_000_000
    assert thinking.cost - plain.cost == plain.to_buy * more
    assert thinking.worst_cost - plain.worst_cost == plain.most_calls * more


def test_a_teacher_that_thinks_unasked_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    home = Home(tmp_path)
    with TeacherServer(TeacherScript(thoughts=THOUGHTS)) as teacher, caplog.at_level(logging.WARNING):
        folder = distill(make_writer(answers=20, budget=PRICES), home, answers_of(home, pairs(40)), endpoint(teacher))
    assert [record.getMessage()[:42] for record in caplog.records].count("test-teacher thinks before it answers: its") == 1
    assert "seeded thought" not in all_text(folder)


@pytest.mark.parametrize(
    ("parameters", "budget"),
    [
        ({}, 0),
        ({"enable_thinking": False, "thinking_budget": 9}, 0),
        (BOUNDED, 40),
        ({"thinking": {"type": "enabled", "budget_tokens": 7}}, 7),
        ({"thinking": {"type": "disabled"}}, 0),
    ],
)
def test_what_a_reply_may_cost_is_the_answer_and_the_thoughts(parameters: dict[str, Any], budget: int) -> None:
    settings = make_writer(parameters=parameters).teacher
    assert (settings.thinking, settings.longest_reply) == (budget, settings.max_tokens + budget)


def test_thinking_without_a_bound_is_refused() -> None:
    with pytest.raises(ValidationError, match="enable_thinking without a bound, which no cap could hold: add thinking_budget = 512"):
        make_writer(parameters={"enable_thinking": True})


def test_dashscopes_batch_preset_buys_at_half_the_price_without_thoughts(tmp_path: Path) -> None:
    preset = load_presets()["dashscope-batch"]
    asked = {"connection": "teacher", "model": "qwen-plus", "parameters": preset.parameters, "batch": preset.batch}
    written = writer_text("W", "zh", {"kind": "jsonl", "account": "a"}, asked, {}, "tiny")
    assert "batch = true\nparameters = { enable_thinking = false }\n" in written
    home, writer = Home(tmp_path), make_writer(answers=10, budget=PRICES, parameters=preset.parameters, batch=preset.batch)
    with BatchTeacher(TeacherScript(thoughts=THOUGHTS)) as teacher:
        batch = open_batch(writer, home, answers_of(home, pairs(40)), endpoint(teacher))
        assert batch and apply_batch(writer, home, endpoint(teacher), batch)["answered"] == 10
        assert teacher.completions == 10
    assert all("reasoning_content" not in str(prompt) for prompt in teacher.prompts)
