"""The vendor's Batch API behind the same ledger: half the price, within a day.

    open_batch    find the run's open batch, or submit one with what the ledger lacks
    batch_status  whether the teacher has finished it
    apply_batch   write its answers into the ledger, row by row

A batch brings the first round of answers; `distill` then works from the ledger, and asks one by one for what is still missing.
The intent is written before anything leaves, and the batch's id before anyone waits. Between the two a crash can hide a batch
that exists: it carries our name for it in its metadata, and is looked up by that before anything is submitted again.
"""

import io
import json
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from openai import APIConnectionError, APIStatusError, OpenAI
from sqlalchemy import Engine

from ghostwriter.batch_ledger import BatchLedger, OpenBatch, PlannedSend
from ghostwriter.budget import Prices, Purse
from ghostwriter.buy import ADVICE, answer_row
from ghostwriter.corpus import read_corpus
from ghostwriter.database import open_database
from ghostwriter.errors import BudgetExceeded, TeacherError
from ghostwriter.home import Home
from ghostwriter.ledger import Answer, Ledger
from ghostwriter.lock import only_one
from ghostwriter.plan import Call, Planner, run_name
from ghostwriter.prompt import load_prompt
from ghostwriter.teacher import CallFault, Endpoint, TeacherDown, connection_fault, read_reply, status_fault
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

MOST_REQUESTS = 50_000
"""OpenAI's limit of a batch; the others' are not lower."""
NAME_KEY = "ghostwriter_batch"
FINISHED = frozenset({"completed", "failed", "expired", "cancelled"})
API_SECONDS = 120.0
Status = Literal["open", "finished"]


def open_batch(writer: Writer, home: Home, answers: Path, endpoint: Endpoint) -> str | None:
    """The vendor's id of this run's open batch, submitted now if there was none; None when no row is left for a batch.

    Raises BudgetExceeded when the batch at its worst price does not fit under the cap, CorpusTooSmall, TeacherError and its kinds.
    """
    with _locked(writer, home) as engine:
        ledger, batches, planner = _open(writer, answers, engine)
        run = run_name(writer, answers, planner)
        found = batches.open(run)
        if found and (batch := _attach(found, batches, endpoint)):
            log.info("Batch %s is open: waiting for it.", batch)
            return batch
        calls = planner.take(writer.teacher.answers)
        done = ledger.known(call.key for call in calls) | batches.keys(run)
        missing = [call for call in calls if call.key not in done][:MOST_REQUESTS]
        return _submit(writer, planner, missing, run, ledger, batches, endpoint) if missing else None


def batch_status(endpoint: Endpoint, batch: str) -> Status:
    """Whether the teacher has finished with a batch, one way or another. Raises TeacherError and its kinds."""
    with _api(endpoint) as client:
        status = client.batches.retrieve(batch).status
    return "finished" if status in FINISHED else "open"


def apply_batch(writer: Writer, home: Home, answers: Path, endpoint: Endpoint, batch: str) -> dict[str, int]:
    """Write every answer of a finished batch into the ledger; returns how many were answered, refused, and not worked on.

    May be interrupted and called again: rows already written are passed over.
    """
    with _locked(writer, home) as engine:
        ledger, batches, planner = _open(writer, answers, engine)
        calls = {call.key: call for call in planner.take(writer.teacher.answers)}
        prices = _batch_prices(writer)
        sends = batches.sends(batch)
        counts = {"answered": 0, "refused": 0, "left": 0}
        with _api(endpoint) as client:
            for line in _result_lines(client, batch):
                send = sends.pop(line["custom_id"], None)
                if send and send.state == "in_flight":
                    counts[_apply(line, send, calls.get(send.key), planner, prices, ledger)] += 1
        for name, send in sends.items():
            if send.state == "in_flight":
                ledger.record([], [{"send": name, "to": "free", "paid": None, "why": "batch_left"}], [])
                counts["left"] += 1
        batches.close(batch)
    log.info("Batch %s: %d answered, %d refused, %d not worked on.", batch, counts["answered"], counts["refused"], counts["left"])
    return counts


@contextmanager
def _locked(writer: Writer, home: Home) -> Iterator[Engine]:
    engine = open_database(home.database_url)
    try:
        with only_one(engine, writer.stem):
            yield engine
    finally:
        engine.dispose()


def _open(writer: Writer, answers: Path, engine: Engine) -> tuple[Ledger, BatchLedger, Planner]:
    ledger = Ledger(engine, writer.stem)
    prompt = load_prompt(writer.teacher.prompt or writer.language)
    return ledger, BatchLedger(engine, writer.stem), Planner(writer, read_corpus(writer, answers), prompt, ledger)


def _attach(found: OpenBatch, batches: BatchLedger, endpoint: Endpoint) -> str | None:
    """The id of a batch whose intent is written: its own, or the vendor's list's. None when it never reached the vendor."""
    if found.vendor_id:
        return found.vendor_id
    with _api(endpoint) as client:
        listed = next((batch.id for batch in client.batches.list(limit=100) if (batch.metadata or {}).get(NAME_KEY) == found.name), None)
    if listed:
        batches.submitted(found.name, listed)
    else:
        batches.abandon(found.name)
        log.warning("Batch %s never reached the teacher: submitting again.", found.name)
    return listed


def _submit(
    writer: Writer, planner: Planner, calls: Sequence[Call], run: str, ledger: Ledger, batches: BatchLedger, endpoint: Endpoint
) -> str:
    prices = _batch_prices(writer)
    sends = [
        PlannedSend(secrets.token_hex(16), call.key, prices.worst(planner.messages(call), writer.teacher.max_tokens)) for call in calls
    ]
    _check_cap(writer, Purse(writer.budget.cap, ledger.spending(run).total), sum((send.worst for send in sends), Decimal(0)))
    name = batches.intend(run, sends)
    lines = [_request_line(send.id, planner, call) for send, call in zip(sends, calls, strict=True)]
    with _api(endpoint) as client:
        uploaded = client.files.create(file=(f"{name}.jsonl", io.BytesIO("".join(lines).encode())), purpose="batch")
        created = client.batches.create(
            input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={NAME_KEY: name}
        )
    batches.submitted(name, created.id)
    log.info("Batch %s submitted: %d requests.", created.id, len(lines))
    return created.id


def _check_cap(writer: Writer, purse: Purse, worst: Decimal) -> None:
    if purse.cap is not None and purse.spent + worst > purse.cap:
        raise BudgetExceeded(
            f"A batch could cost {worst:.4f} at worst, {purse.spent:.4f} are spent, the cap is {purse.cap:.4f}. Nothing was submitted. "
            "Raise budget.cap, lower teacher.max_tokens or teacher.answers, or distil without a batch (each call is then checked alone)."
        )


def _request_line(send: str, planner: Planner, call: Call) -> str:
    body = {**planner.parameters, "messages": planner.messages(call)}
    return json.dumps({"custom_id": send, "method": "POST", "url": "/v1/chat/completions", "body": body}, ensure_ascii=False) + "\n"


def _batch_prices(writer: Writer) -> Prices:
    prices, share = Prices.of(writer.budget), writer.budget.batch_share
    return Prices(prices.input * share, prices.cached_input * share, prices.output * share)


def _result_lines(client: OpenAI, batch: str) -> Iterator[dict[str, Any]]:
    """The lines of the output file and of the error file, in the vendor's order."""
    found = client.batches.retrieve(batch)
    for file in (found.output_file_id, found.error_file_id):
        if file:
            yield from (json.loads(line) for line in client.files.content(file).content.splitlines() if line.strip())


def _apply(line: dict[str, Any], send: Any, call: Call | None, planner: Planner, prices: Prices, ledger: Ledger) -> str:
    """Settle one send: answered, or refused."""
    response = line.get("response") or {}
    if response.get("status_code") != 200 or call is None:
        code = str((line.get("error") or {}).get("code") or response.get("status_code") or "not planned any more")
        ledger.record([], [{"send": send.id, "to": "free", "paid": None, "why": f"batch_{code}"[:32]}], [])
        return "refused"
    try:
        reply = read_reply(json.dumps(response["body"]).encode())
    except CallFault as fault:
        ledger.record([], [{"send": send.id, "to": "perhaps_paid", "paid": None, "why": fault.code}], [])
        return "refused"
    cost = prices.cost(reply.usage) if reply.usage else send.worst
    row = answer_row(call, Answer(call.key, reply.text, reply.finish_reason, reply.usage, cost), planner)
    ledger.record([], [{"send": send.id, "to": "paid", "paid": cost, "why": None}], [ledger.stamped(row)])
    return "answered"


@contextmanager
def _api(endpoint: Endpoint) -> Iterator[OpenAI]:
    """A client whose errors are ours, without the key in them."""
    with OpenAI(base_url=endpoint.base_url, api_key=endpoint.key.get_secret_value(), timeout=API_SECONDS, max_retries=2) as client:
        try:
            yield client
            return
        except APIStatusError as error:
            fault = status_fault(error, endpoint)
        except APIConnectionError as error:
            fault = connection_fault(error, endpoint)
    kind = fault.ends_run or (TeacherDown if fault.again else TeacherError)
    raise kind(f"{fault.message}. {ADVICE.get(fault.code, 'The batch is kept: run again to go on with it.')}") from None
