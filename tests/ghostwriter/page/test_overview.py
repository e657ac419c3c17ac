"""The page of a writer who has never run says so, and leaves out what there is nothing to say of."""

from decimal import Decimal

from ghostwriter.page.nights import Night
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
