"""One model's answer as a trace in MLflow, found again by a name of ours, so that it is written once however often it is tried."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from ghostwriter.errors import TrackingError

if TYPE_CHECKING:
    from mlflow import MlflowClient

NAME_TAG, KIND_TAG, WRITER_TAG = "ghostwriter.trace", "ghostwriter.kind", "ghostwriter.writer"
MOST_FOUND = 500
"""Traces in one page of a search."""


@dataclass(frozen=True)
class AnswerTrace:
    """What a trace shows: who answered what when. `facts` are attributes: model, version, tokens, cost."""

    name: str
    kind: str
    model: str
    inputs: Mapping[str, Any]
    text: str
    began: datetime
    ended: datetime
    facts: Mapping[str, Any]
    tags: Mapping[str, str]


def write_trace(client: "MlflowClient", experiment_id: str, stem: str, trace: AnswerTrace) -> str:
    """Write a trace; returns its id. Raises TrackingError when MLflow does not have it afterwards."""
    import mlflow
    from mlflow.entities import SpanType

    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"  # written when `end` returns; waiting for its queue takes a second each
    mlflow.set_tracking_uri(client.tracking_uri)
    tags = {NAME_TAG: trace.name, KIND_TAG: trace.kind, WRITER_TAG: stem, **trace.tags}
    span = mlflow.start_span_no_context(
        trace.model,
        span_type=SpanType.CHAT_MODEL,
        inputs=dict(trace.inputs),
        attributes=dict(trace.facts),
        tags=tags,
        experiment_id=experiment_id,
        start_time_ns=_nanoseconds(trace.began),
    )
    span.set_outputs({"choices": [{"message": {"role": "assistant", "content": trace.text}}]})
    span.end(end_time_ns=_nanoseconds(trace.ended))
    if trace.name not in find_traces(client, experiment_id, named(trace.name)):
        raise TrackingError(f"MLflow at {client.tracking_uri} did not take a trace. Run this again when it answers.")
    return str(span.trace_id)


def named(name: str) -> str:
    """The search for a trace by its name of ours."""
    return f"tags.`{NAME_TAG}` = '{name}'"


def kind_of(kind: str) -> str:
    """The search for all traces of a kind."""
    return f"tags.`{KIND_TAG}` = '{kind}'"


def find_traces(client: "MlflowClient", experiment_id: str, query: str) -> dict[str, str]:
    """The ids of traces by their name of ours."""
    found = traces_with_tags(client, experiment_id, query)
    return {tags.get(NAME_TAG, trace_id): trace_id for trace_id, tags in found.items()}


def traces_with_tags(client: "MlflowClient", experiment_id: str, query: str) -> dict[str, dict[str, str]]:
    """The tags of traces by their id."""
    found: dict[str, dict[str, str]] = {}
    token = None
    while True:
        page = client.search_traces(
            locations=[experiment_id], filter_string=query, max_results=MOST_FOUND, page_token=token, include_spans=False
        )
        found |= {trace.info.trace_id: trace.info.tags for trace in page}
        token = page.token
        if not token:
            return found


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000_000)
