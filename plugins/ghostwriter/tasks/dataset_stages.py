"""The bodies of the distilling DAG's tasks. Arguments are locations and small values."""

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ghostwriter.errors import TrackingError
from ghostwriter.home import Home
from ghostwriter.snapshot import set_current
from ghostwriter.tasks.chain import Level, can_train, chosen_or_newest, is_woken, next_work, read_level
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

ESTIMATED = {"wanted", "in_ledger", "to_buy", "cost", "worst_cost", "spent", "cap", "month_spent", "month"}
LAST_ATTEMPT_SECONDS = 15.0
"""For the attempt before this one, told to end, to let go of the writer: a cleared task starts again at once."""


def take_snapshot(writer: Writer, known: int) -> str:
    """Write the archive's answers as the current snapshot; returns its folder. Raises AirflowSkipException when they are distilled.

    Each night votes and chats that have become too old are removed here.
    """
    from airflow.sdk.exceptions import AirflowSkipException

    from ghostwriter.collecting.answers import snapshot_answers

    home = Home.default()
    forget_old_votes(writer, home)
    folder = snapshot_answers(writer, home)
    if next_work(read_level(home, writer.stem)) != "distil":
        raise AirflowSkipException(f"Nothing new: {known} answers are known, and their snapshot {folder} is distilled.")
    return str(folder)


def forget_old_votes(writer: Writer, home: Home) -> None:
    """Remove votes and kept chats after `chat.keep_days`."""
    from ghostwriter.database import open_database
    from ghostwriter.votes.records import forget_old

    engine = open_database(home.database_url)
    try:
        if removed := forget_old(engine, writer.stem, writer.chat.keep_days):
            log.info("%d votes and chats were older than chat.keep_days = %d, and are removed.", removed, writer.chat.keep_days)
    finally:
        engine.dispose()


def answers_to_distill(writer: Writer, form: Mapping[str, Any], dag_run: Any) -> str:
    """The snapshot a run works on. Raises AirflowSkipException when an event woke the run for answers that are distilled already."""
    from airflow.sdk.exceptions import AirflowSkipException

    home = Home.default()
    if is_woken(dag_run) and next_work(read_level(home, writer.stem)) != "distil":
        raise AirflowSkipException("The newest answers are distilled already. To distil them again, trigger this DAG from its form.")
    return str(chosen_or_newest(form["answers"], home.answers(writer.stem), f"answers of {writer.name}"))


def distill(writer: Writer, estimated: str, form: Mapping[str, Any], dag_run: Any) -> str:
    """Build the dataset; returns its folder. Mode `direct` needs no connection, `self-instruct` the student's.

    Buying again was asked about for the answers `estimated`; newer ones ask for themselves. The nights go on from the dataset unless it
    is an experiment of the form's.
    """
    from ghostwriter.distilling.distill import distill as distill_answers
    from ghostwriter.tasks.connections import teacher_endpoint

    home, mode = Home.default(), form["mode"]
    home.check_space()
    answers = Path(answers_to_distill(writer, form, dag_run))
    wanted = writer.with_teacher_answers(form["wanted"])
    endpoint = None if mode == "direct" else teacher_endpoint(wanted.asking(mode).teacher.connection)
    buy_again = form["buy_again"] or str(answers) == estimated
    made = distill_answers(wanted, home, answers, endpoint, mode=mode, buy_again=buy_again, patience=LAST_ATTEMPT_SECONDS)
    if is_nightly(writer, form):
        set_current(made)
    else:
        log.info("The form asked for something other than the writer file, so the nights do not go on from %s.", made)
    return str(made)


def is_nightly(writer: Writer, form: Mapping[str, Any]) -> bool:
    """Whether what the form asks for is what the writer file asks for each night, or the form says to go on from it."""
    as_written = (form["mode"], form["wanted"], form["answers"] or None) == (writer.mode, writer.teacher.answers, None)
    return as_written or bool(form.get("nightly"))


def dataset_that_waits(writer: Writer) -> str:
    """For a collection: the newest dataset, when only training is left to do. Raises AirflowSkipException when it is not."""
    return _dataset(writer, lambda level: next_work(level) == "train")


def untrained_dataset(writer: Writer) -> str:
    """When distilling has ended: the newest dataset, unless it was trained on. Raises AirflowSkipException when it was.

    After a failure it is an earlier night's: a purchase that ends at its cap every night must not keep it waiting for ever.
    """
    return _dataset(writer, can_train)


def _dataset(writer: Writer, waits: Callable[[Level], bool]) -> str:
    from airflow.sdk.exceptions import AirflowSkipException

    home = Home.default()
    if not waits(read_level(home, writer.stem)):
        raise AirflowSkipException("No dataset waits to be trained on.")
    return str(chosen_or_newest(None, home.datasets(writer.stem), f"datasets of {writer.name}"))


def estimate_cost(writer: Writer, answers: str, form: Mapping[str, Any], task_instance: Any) -> bool:
    """Log the plan and its cost, leave the figures in the XCom `estimate`; returns whether the form wants the answers, too.

    Raises BuysAgain unless the form allows it.
    """
    from ghostwriter.distilling.distill import estimate

    plan = estimate(writer, Home.default(), Path(answers), mode=form["mode"])
    for line in str(plan).splitlines():
        log.info(line)
    figures = plan.model_dump(mode="json", include=ESTIMATED)
    task_instance.xcom_push("estimate", figures)
    if not (form["only_estimate"] or form["buy_again"]):
        plan.check_buys_again()
    return not form["only_estimate"]


def record(writer: Writer, dataset: str, dag_run: Any) -> str:
    """Log a dataset's totals to MLflow; returns the run's id."""
    from ghostwriter.mlflow_runs.dataset_run import record_dataset
    from ghostwriter.mlflow_runs.server import mlflow_client, tracking_uri

    run_id = record_dataset(mlflow_client(), writer, Path(dataset), dag_run, tracking_uri())
    _show_calls(writer, Path(dataset))
    return run_id


def _show_calls(writer: Writer, dataset: Path) -> None:
    """Put one in a hundred of the teacher's calls, and votes that are not there yet, into MLflow; without them the night goes on."""
    from ghostwriter.database import open_database
    from ghostwriter.mlflow_runs.server import mlflow_client
    from ghostwriter.mlflow_runs.teacher_traces import trace_teacher
    from ghostwriter.mlflow_runs.vote_traces import trace_votes

    engine = open_database(Home.default().database_url)
    try:
        calls = trace_teacher(mlflow_client(), engine, writer, dataset)
        votes = trace_votes(mlflow_client(), engine, writer.stem)
        log.info("%d calls of the teacher and %d votes now stand in MLflow as traces.", calls, votes)
    except TrackingError as error:
        log.warning("%s", error)
    finally:
        engine.dispose()
