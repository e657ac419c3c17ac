"""The page of a writer who has never run says so, and leaves out what there is nothing to say of."""

from datetime import UTC, datetime
from decimal import Decimal

from ghostwriter.page.nights import Night, StageRun
from ghostwriter.page.overview import Card
from ghostwriter.page.state import State
from ghostwriter.page.words import make_templates
from ghostwriter.writer import load_writer


def test_a_writer_who_has_never_run_is_no_riddle() -> None:
    card = Card(load_writer("lamplight"), Night((), None, True), State(0, 0, Decimal(0)), None, ())
    page = make_templates("en").get_template("overview.html").render(prefix="", mlflow="", cards=[card], silent=[])
    assert "Nothing has run yet. Switch lamplight_collect on and trigger it" in page
    assert page.count("none yet") == 2, "neither a champion nor a night that cost anything"
    assert "not known now" not in page
    assert "Last runs" not in page


def test_a_months_limit_stands_beside_what_was_spent() -> None:
    plain = load_writer("lamplight")
    writer = plain.model_copy(update={"budget": plain.budget.model_copy(update={"month": Decimal(60)})})
    card = Card(writer, Night((), None, True), State(0, 0, Decimal("12.5")), None, ())
    page = make_templates("en").get_template("overview.html").render(prefix="", mlflow="", cards=[card], silent=[])
    assert "12.50 of 60" in page


def test_what_is_late_is_said_with_when_it_was_to_be_done() -> None:
    writer, due = load_writer("lamplight"), datetime(2026, 12, 1, 5, 30, tzinfo=UTC)
    run = StageRun("train", "Train and judge", "/dags/x/runs/1", due, "busy", "At work: train.", late=due)
    card = Card(writer, Night((run,), due, False, overdue=True), None, None, ())
    english, chinese = (
        make_templates(tongue).get_template("overview.html").render(prefix="", mlflow="", cards=[card], silent=[])
        for tongue in ("en", "zh")
    )
    assert '<td class="bad"><b>Late: it was to be done by 2026-12-01 05:30.</b> At work: train.</td>' in english
    assert "<b>late: an earlier run is in its way" in english
    assert chinese.count("已迟") == 2
