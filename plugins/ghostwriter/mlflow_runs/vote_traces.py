"""Votes in MLflow: each answer as a trace in its writer's experiment, with the vote as a person's feedback on it.

The database comes first: what is not in MLflow yet, because it was away or a process ended, goes there next time.
"""

import json
import logging
from datetime import UTC
from typing import TYPE_CHECKING

from sqlalchemy import Engine

from ghostwriter.errors import TrackingError
from ghostwriter.judging.promote import model_name
from ghostwriter.mlflow_runs.experiment import experiment_of
from ghostwriter.mlflow_runs.traces import AnswerTrace, find_traces, named, write_trace
from ghostwriter.votes.records import VoteRow, messages_of, traced, untraced_votes

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

KIND, FEEDBACK = "voted answer", "preferred"
MEANING = {
    ("a", "a"): "better",
    ("b", "b"): "better",
    ("a", "b"): "worse",
    ("b", "a"): "worse",
    ("tie", "a"): "equally good",
    ("tie", "b"): "equally good",
    ("bad", "a"): "both bad",
    ("bad", "b"): "both bad",
}
"""What a choice says about the answer of a side."""


def trace_votes(client: "MlflowClient", engine: Engine, stem: str) -> int:
    """Write what MLflow lacks; returns how many votes. Raises TrackingError when MLflow does not take one."""
    from mlflow.exceptions import MlflowException

    votes = untraced_votes(engine, stem)
    try:
        experiment_id = experiment_of(client, stem) if votes else ""
        for vote in votes:
            traced(engine, vote.id, *(_trace(client, experiment_id, vote, letter) for letter in ("a", "b")))
    except MlflowException as error:
        raise TrackingError(
            f"MLflow did not take {len(votes)} votes of {stem} ({type(error).__name__}). They are kept, and go there next time."
        ) from error
    return len(votes)


def trace_names(vote: str) -> tuple[str, str]:
    """Under which the traces of a vote's two answers are found again."""
    return f"vote-{vote}-a", f"vote-{vote}-b"


def _trace(client: "MlflowClient", experiment_id: str, vote: VoteRow, letter: str) -> str:
    """The id of the trace of one answer, with its feedback."""
    import mlflow
    from mlflow.entities import AssessmentSource, AssessmentSourceType

    trace = _answer(vote, letter)
    found = find_traces(client, experiment_id, named(trace.name))
    trace_id = found.get(trace.name) or write_trace(client, experiment_id, vote.writer, trace)
    mlflow.set_tracking_uri(client.tracking_uri)
    if not any(assessment.name == FEEDBACK for assessment in client.get_trace(trace_id).info.assessments):
        rival = vote.version_b if letter == "a" else vote.version_a
        mlflow.log_feedback(
            trace_id=trace_id,
            name=FEEDBACK,
            value=MEANING[vote.choice, letter],
            source=AssessmentSource(source_type=AssessmentSourceType.HUMAN, source_id=vote.who),
            metadata={"vote": vote.id, "side": letter, "compared_with": rival},
        )
    return trace_id


def _answer(vote: VoteRow, letter: str) -> AnswerTrace:
    version, digest, text = (str(getattr(vote, f"{field}_{letter}")) for field in ("version", "digest", "text"))
    voted = vote.voted.replace(tzinfo=vote.voted.tzinfo or UTC)
    return AnswerTrace(
        name=dict(zip("ab", trace_names(vote.id), strict=True))[letter],
        kind=KIND,
        model=f"{model_name(vote.writer)} {version}",
        inputs={"messages": messages_of(vote)},
        text=text,
        began=voted,
        ended=voted,
        facts={"version": version, "digest": digest, "seed": vote.seed, **json.loads(vote.sampling)},
        tags={"ghostwriter.version": version},
    )
