"""One in a hundred of the teacher's calls as a trace in MLflow: the prompt, the answer, when, how many tokens, what it cost.

Chosen by the call's own key, so the same ones every time. The prompt is made again from the dataset's pairs;
connections, and so the key, are nowhere near.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Engine, select

from ghostwriter.distilling.dataset import DIRECT_FILE, DISTILLED_FILE
from ghostwriter.distilling.prompt import Prompt
from ghostwriter.distilling.rewrite import prompt_of
from ghostwriter.errors import TrackingError
from ghostwriter.mlflow_runs.experiment import experiment_of
from ghostwriter.mlflow_runs.traces import AnswerTrace, find_traces, kind_of, write_trace
from ghostwriter.modes import PURCHASES, Mode
from ghostwriter.pairs import Pair
from ghostwriter.snapshot import read_manifest, read_rows
from ghostwriter.teacher.ledger import CHUNK, AnswerRow, SendRow
from ghostwriter.writer import Writer

if TYPE_CHECKING:
    from mlflow import MlflowClient

KIND = "teacher call"
QUESTION_TAG, EXAMPLES_TAG = "ghostwriter.question", "ghostwriter.examples"
"""By which a purge finds them."""
ONE_IN = 100


@dataclass(frozen=True)
class Known:
    """What a dataset knows of what was asked: its prompt, its pairs by id, its questions by id."""

    prompt: Prompt
    pairs: Mapping[str, Pair]
    questions: Mapping[str, str]


def is_sampled(key: str) -> bool:
    """Whether a call's trace is written, by the first digits of its key (hex)."""
    return int(key[:8], 16) % ONE_IN == 0


def trace_teacher(client: "MlflowClient", engine: Engine, writer: Writer, dataset: Path) -> int:
    """Write the sampled calls MLflow lacks; returns how many. Raises TrackingError when MLflow does not take one."""
    mode = read_manifest(dataset).facts.get("mode", "direct")
    return sum(_trace_purchase(client, engine, writer, dataset, part) for part in PURCHASES[mode])


def _trace_purchase(client: "MlflowClient", engine: Engine, writer: Writer, dataset: Path, mode: Mode) -> int:
    """`trace_teacher`, of the calls of one kind."""
    keys = [key for key in _keys(engine, writer.ledger(mode)) if is_sampled(key)]
    if not keys:
        return 0
    from mlflow.exceptions import MlflowException

    try:
        experiment_id = experiment_of(client, writer.stem)
        there = find_traces(client, experiment_id, kind_of(KIND))
        missing = [key for key in keys if key not in there]
        known = read_known(dataset, prompt_of(writer, mode)) if missing else None
        for answer, sent in _answers(engine, missing):
            assert known
            write_trace(client, experiment_id, writer.stem, _trace(answer, sent, known, writer.name))
    except MlflowException as error:
        raise TrackingError(f"MLflow took no traces of the teacher's calls ({type(error).__name__}). They go there next time.") from error
    return len(missing)


def read_known(dataset: Path, prompt: Prompt) -> Known:
    """From the rows of a finished dataset."""
    files = [name for name in (DIRECT_FILE, DISTILLED_FILE) if name in read_manifest(dataset).files]
    rows = [row for name in files for row in read_rows(dataset, name)]
    questions = {row["question_id"]: row["messages"][0]["content"] for row in rows}
    own = [row for row in rows if row["source"] == "writer"]
    pairs = {row["id"]: Pair(row["id"], row["question_id"], *(message["content"] for message in row["messages"])) for row in own}
    return Known(prompt, pairs, questions)


def _keys(engine: Engine, ledger: str) -> list[str]:
    with engine.connect() as connection:
        return list(connection.execute(select(AnswerRow.key).where(AnswerRow.writer == ledger)).scalars())


def _answers(engine: Engine, keys: list[str]) -> Iterator[tuple[Any, datetime | None]]:
    """The ledger's rows, each with when it was sent."""
    with engine.connect() as connection:
        for start in range(0, len(keys), CHUNK):
            chunk = keys[start : start + CHUNK]
            paid = select(SendRow.key, SendRow.sent).where(SendRow.key.in_(chunk), SendRow.state == "paid")
            sent = {row.key: row.sent for row in connection.execute(paid)}
            for row in connection.execute(select(AnswerRow.__table__).where(AnswerRow.key.in_(chunk))):
                yield row, sent.get(row.key)


def _trace(answer: Any, sent: datetime | None, known: Known, name: str) -> AnswerTrace:
    ended = _utc(answer.answered)
    return AnswerTrace(
        name=answer.key,
        kind=KIND,
        model=answer.model,
        inputs=_inputs(answer, known, name),
        text=answer.text,
        began=min(_utc(sent), ended) if sent else ended,
        ended=ended,
        facts={
            "prompt_hash": answer.prompt,
            "sample": answer.sample,
            "finish_reason": answer.finish_reason,
            "prompt_tokens": answer.prompt_tokens,
            "completion_tokens": answer.completion_tokens,
            "cost": str(answer.cost),
        },
        tags={QUESTION_TAG: answer.question_id, EXAMPLES_TAG: answer.examples},
    )


def _inputs(answer: Any, known: Known, name: str) -> dict[str, Any]:
    """The messages as they were sent; only ids where the dataset does not hold what stood in them (any more)."""
    examples: Iterable[str] = json.loads(answer.examples)
    question = known.questions.get(answer.question_id)
    if question is None or answer.prompt != known.prompt.hash or not known.pairs.keys() >= set(examples):
        return {"question_id": answer.question_id, "examples": list(examples)}
    return {"messages": known.prompt.messages(name, [known.pairs[each] for each in examples], question)}


def _utc(moment: datetime) -> datetime:
    """SQLite forgets the zone, which is UTC."""
    return moment.replace(tzinfo=moment.tzinfo or UTC)
