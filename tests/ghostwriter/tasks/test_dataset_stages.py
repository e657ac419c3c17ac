"""The distilling DAG's tasks: they go by the newest answers, and an experiment of the form's is nothing the nights go on from."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from ghostwriter.home import Home
from ghostwriter.snapshot import newest, set_current
from ghostwriter.tasks.chain import mark_trained
from ghostwriter.tasks.dataset_stages import answers_to_distill, dataset_that_waits, distill, is_nightly, untrained_dataset
from ghostwriter.writer import Writer
from ghostwriter.writer_settings import Training
from tests.distill_case import answers_of, make_writer, pairs

WOKEN, BY_HAND = SimpleNamespace(run_type="asset_triggered"), SimpleNamespace(run_type="manual")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path / "home"))
    return Home.default()


@pytest.fixture
def writer() -> Writer:
    """One who trains on their own answers, so that nobody is asked."""
    return make_writer().model_copy(update={"training": Training(arm="direct", recipe="tiny")})


def form(writer: Writer, **values: Any) -> dict[str, Any]:
    return {"mode": writer.mode, "wanted": writer.teacher.answers, "answers": None, "nightly": False, "buy_again": False, **values}


def test_a_run_works_on_the_newest_answers_whatever_its_event_says(home: Home, writer: Writer) -> None:
    older, newer = answers_of(home, pairs(30)), answers_of(home, pairs(31))
    set_current(newer)
    assert answers_to_distill(writer, form(writer), WOKEN) == str(newer)
    assert answers_to_distill(writer, form(writer, answers=str(older)), BY_HAND) == str(older)


def test_a_second_event_distils_nothing_and_a_dataset_waits_until_it_is_trained_on(home: Home, writer: Writer) -> None:
    answers_of(home, pairs(30))
    with pytest.raises(AirflowSkipException, match="No dataset waits"):
        dataset_that_waits(writer)
    made = distill(writer, "", form(writer), WOKEN)
    with pytest.raises(AirflowSkipException, match="distilled already"):
        distill(writer, "", form(writer), WOKEN)
    assert distill(writer, "", form(writer), BY_HAND) == made == dataset_that_waits(writer)
    mark_trained(Path(made), "run")
    with pytest.raises(AirflowSkipException, match="No dataset waits"):
        dataset_that_waits(writer)


def test_when_distilling_ends_without_a_dataset_an_earlier_nights_is_trained_on_if_nobody_did(home: Home, writer: Writer) -> None:
    """At its cap it fails every night: what was distilled before must not wait for ever, nor be trained on twice."""
    answers_of(home, pairs(30))
    made = distill(writer, "", form(writer), WOKEN)
    set_current(answers_of(home, pairs(31)))
    with pytest.raises(AirflowSkipException, match="No dataset waits"):
        dataset_that_waits(writer)  # a collection wakes distilling first
    assert untrained_dataset(writer) == made
    mark_trained(Path(made), "run")
    with pytest.raises(AirflowSkipException, match="No dataset waits"):
        untrained_dataset(writer)


def test_an_experiment_trains_nothing_unless_the_form_says_so(home: Home, writer: Writer) -> None:
    older = answers_of(home, pairs(30))
    set_current(newer := answers_of(home, pairs(40)))
    nightly = Path(distill(writer, "", form(writer), WOKEN))
    mark_trained(nightly, "run")
    experiment = Path(distill(writer, "", form(writer, answers=str(older)), BY_HAND))
    assert (experiment != nightly, newest(home.datasets("tester"))) == (True, nightly)
    with pytest.raises(AirflowSkipException, match="No dataset waits"):
        dataset_that_waits(writer)
    asked = Path(distill(writer, "", form(writer, answers=str(newer), nightly=True), BY_HAND))
    assert newest(home.datasets("tester")) == asked


@pytest.mark.parametrize(
    ("values", "nightly"),
    [
        ({}, True),
        ({"wanted": 10}, False),
        ({"mode": "distilled"}, False),
        ({"answers": "x"}, False),
        ({"wanted": 10, "nightly": True}, True),
    ],
)
def test_what_the_nights_go_on_from_is_what_the_writer_file_asks_for(writer: Writer, values: dict[str, Any], nightly: bool) -> None:
    assert is_nightly(writer, form(writer, **values)) == nightly
