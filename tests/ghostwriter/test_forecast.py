"""What a form says before any snapshot is read, and what a tracking server is told after."""

from decimal import Decimal
from pathlib import Path

from ghostwriter.dataset import dataset_metrics
from ghostwriter.distill import distill
from ghostwriter.forecast import form_estimate
from ghostwriter.home import Home
from tests.distill_case import PRICES, answers_of, endpoint, make_writer, pairs
from tests.teacher_server import TeacherServer


def test_a_form_shows_the_cost_at_typical_lengths() -> None:
    writer = make_writer(answers=10_000, budget={**PRICES, "cap": Decimal(50)})
    assert form_estimate(writer) == (
        "About 800 tokens in and 200 out an answer: 0.0040 each, 40.0000 for 10,000 (cap 50.0000). "
        "The run's log gives the exact plan before anything is spent."
    )


def test_a_form_without_prices_says_so() -> None:
    assert form_estimate(make_writer()) == "The writer file names no prices, so no cost can be estimated."


def test_a_datasets_totals_are_numbers_with_names(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with TeacherServer() as teacher:
        folder = distill(make_writer(answers=10, budget=PRICES), home, answers_of(home, pairs(40)), endpoint(teacher))
    metrics = dataset_metrics(folder)
    assert (metrics["dataset/rows/distilled"], metrics["teacher/calls/planned"], metrics["teacher/calls/accepted"]) == (10, 10, 10)
    assert 0.01 < metrics["teacher/cost/run"] < 0.05
    assert metrics["diversity/writer/words"] == metrics["diversity/teacher/words"]
