"""The vendor's Batch API behind the same ledger: half the price, within a day.

    open_batch    find the run's open batch, or submit one with what the ledger lacks
    batch_status  whether the teacher has finished it
    apply_batch   write its answers into the ledger, row by row
    forget_batch  give up an open batch that the vendor does not know any more

A batch brings the first round of answers; `distill` then works from the ledger, and asks one by one for what is still missing.
The intent is written before anything leaves, and the batch's id before anyone waits. Between the two a crash can hide a batch
that exists: it carries our name for it in its metadata, and is looked up by that before anything is submitted again.
"""

import io
import json
import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from openai import APIConnectionError, APIStatusError, NotFoundError, OpenAI
from openai.types import Batch
from sqlalchemy import Engine

from ghostwriter.database import open_database
from ghostwriter.distilling.corpus import read_corpus
from ghostwriter.distilling.forecast import joined, make_estimate
from ghostwriter.distilling.plan import Planner
from ghostwriter.distilling.purchase import Purchase, purchases_of
from ghostwriter.errors import BudgetExceeded, TeacherError
from ghostwriter.home import Home
from ghostwriter.lock import only_one
from ghostwriter.modes import MODES, PURCHASES, Mode
from ghostwriter.teacher.batch_api import FINISHED, batch_api
from ghostwriter.teacher.batch_ledger import BatchLedger, OpenBatch, PlannedSend, owner_of
from ghostwriter.teacher.budget import Prices, Purse
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.client import CallFault, Endpoint, read_reply
from ghostwriter.teacher.ledger import Answer, Ledger, SendState, answer_row
from ghostwriter.teacher.month import Month
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

MOST_REQUESTS = 50_000
"""OpenAI's limit of a batch; the others' are not lower."""
NAME_KEY = "ghostwriter_batch"
LISTED_SECONDS, LOOK_SECONDS = 60.0, 5.0
"""How long a batch that was just taken may be missing in the vendor's list, and the time between two looks at it."""
Status = Literal["open", "finished"]


def open_batch(
    writer: Writer, home: Home, answers: Path, endpoint: Endpoint, mode: Mode = "distilled", *, buy_again: bool = False
) -> str | None:
    """The vendor's id of the writer's open batch, submitted now if there was none; None when no row is left for a batch.

    One that an earlier run left open, of an older snapshot or another prompt, comes first: it is paid for. What `mode` buys goes in
    batches one after the other, each kind in its own.

    Raises BudgetExceeded when the batch at its worst price does not fit under cap or month, CorpusTooSmall, TeacherError and its kinds,
    and BuysAgain unless `buy_again`.
    """
    with _locked(writer, home) as engine:
        for part in PURCHASES[mode]:
            batches = BatchLedger(engine, writer.ledger(part))
            found = batches.open()
            if found and (batch := _attach(found, batches, endpoint)):
                log.info("Batch %s is open: waiting for it.", batch)
                return batch
        corpus = read_corpus(writer, answers, home)
        purchases = purchases_of(writer, corpus, answers, engine, mode)
        if not buy_again:
            joined([make_estimate(writer, corpus, one.planner, one.ledger, one.spent) for one in purchases]).check_buys_again()
        for purchase in purchases:
            batches = BatchLedger(engine, purchase.ledger.writer)
            if missing := _missing(purchase, batches):
                spent = sum((one.spent.total for one in purchases), Decimal(0))
                return _submit(writer, purchase, missing, spent, batches, endpoint)
        return None


def _missing(purchase: Purchase, batches: BatchLedger) -> list[Call]:
    """The calls of the first round that are neither answered nor went with a batch before."""
    calls = purchase.planner.take(purchase.planner.wanted)
    done = purchase.ledger.known(call.key for call in calls) | batches.keys(purchase.run)
    return [call for call in calls if call.key not in done][:MOST_REQUESTS]


def batch_status(endpoint: Endpoint, batch: str) -> Status:
    """Whether the teacher has finished with a batch, one way or another. Raises TeacherError and its kinds."""
    with batch_api(endpoint) as client:
        status = client.batches.retrieve(batch).status
    return "finished" if status in FINISHED else "open"


def apply_batch(writer: Writer, home: Home, endpoint: Endpoint, batch: str) -> dict[str, int]:
    """Write every answer of a finished batch into the ledger; returns how many were answered, refused, and not worked on.

    May be interrupted and called again: rows already written are passed over. Raises TeacherError when the vendor refused all of it.
    """
    with _locked(writer, home) as engine:
        owner = owner_of(engine, batch)
        ledger, batches = Ledger(engine, owner), BatchLedger(engine, owner)
        prices, sends, unreadable = _batch_prices(writer), batches.sends(batch), 0
        counts = {"answered": 0, "refused": 0, "left": 0}
        with batch_api(endpoint) as client:
            found = client.batches.retrieve(batch)
            _check_accepted(found, batches)
            for line in _result_lines(client, found):
                send = sends.pop(line.get("custom_id", ""), None)
                unreadable += not line
                if send and send.state == "in_flight":
                    counts[_apply(line, send, prices, ledger)] += 1
        left = [send for send in sends.values() if send.state == "in_flight"]
        for send in left:
            _settle(ledger, send, "perhaps_paid" if unreadable else "free", "batch_left")
        counts["left"] = len(left)
        batches.close(batch)
    log.info("Batch %s: %d answered, %d refused, %d not worked on.", batch, counts["answered"], counts["refused"], counts["left"])
    return counts


def forget_batch(writer: Writer, home: Home) -> str | None:
    """Give up the writer's open batch: its requests count as perhaps paid, and are asked for again. Returns its id, None without one."""
    with _locked(writer, home) as engine:
        for part in (mode for mode in MODES if mode in PURCHASES[mode]):
            batches = BatchLedger(engine, writer.ledger(part))
            if found := batches.open():
                batches.forget(found.name)
                return found.vendor_id or found.name
    return None


@contextmanager
def _locked(writer: Writer, home: Home) -> Iterator[Engine]:
    engine = open_database(home.database_url)
    try:
        with only_one(engine, writer.stem):
            yield engine
    finally:
        engine.dispose()


def _attach(found: OpenBatch, batches: BatchLedger, endpoint: Endpoint) -> str | None:
    """The id of a batch whose intent is written: its own, or the vendor's list's. None when it never reached the vendor."""
    if found.vendor_id:
        return found.vendor_id
    with batch_api(endpoint) as client:
        while not (listed := _listed(client, found.name)) and (datetime.now(UTC) - found.intended).total_seconds() < LISTED_SECONDS:
            time.sleep(LOOK_SECONDS)
    if listed:
        batches.submitted(found.name, listed)
    else:
        batches.abandon(found.name)
        log.warning("Batch %s never reached the teacher: submitting again.", found.name)
    return listed


def _listed(client: OpenAI, name: str) -> str | None:
    return next((batch.id for batch in client.batches.list(limit=100) if (batch.metadata or {}).get(NAME_KEY) == name), None)


def _submit(writer: Writer, purchase: Purchase, calls: Sequence[Call], spent: Decimal, batches: BatchLedger, endpoint: Endpoint) -> str:
    prices, planner = _batch_prices(writer), purchase.planner
    sends = [
        PlannedSend(secrets.token_hex(16), planner.facts(call), prices.worst(planner.messages(call), writer.teacher.longest_reply))
        for call in calls
    ]
    worst = sum((send.worst for send in sends), Decimal(0))
    _check_cap(writer, Purse(writer.budget.cap, spent), worst)
    Month(writer, purchase.ledger.engine, purchase.run, spent).check(spent, Decimal(0), worst)
    name = batches.intend(purchase.run, sends)
    lines = [_request_line(send.id, planner, call) for send, call in zip(sends, calls, strict=True)]
    with batch_api(endpoint) as client:
        created = _create(client, name, "".join(lines).encode(), batches)
    batches.submitted(name, created)
    log.info("Batch %s submitted: %d requests.", created, len(lines))
    return created


def _create(client: OpenAI, name: str, lines: bytes, batches: BatchLedger) -> str:
    """Upload and submit; returns the vendor's id. A refusal ends the intent; only a lost answer to the submission leaves it open.

    The client must not repeat the submission by itself: the first may have been taken, and would be paid for twice.
    """
    try:
        uploaded = client.files.create(file=(f"{name}.jsonl", io.BytesIO(lines)), purpose="batch")
    except (APIStatusError, APIConnectionError):
        batches.abandon(name)
        raise
    try:
        return (
            client.with_options(max_retries=0)
            .batches.create(input_file_id=uploaded.id, endpoint="/v1/chat/completions", completion_window="24h", metadata={NAME_KEY: name})
            .id
        )
    except APIStatusError as error:
        if error.status_code < 500 and error.status_code != 408:
            batches.abandon(name)
        raise


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


def _check_accepted(found: Batch, batches: BatchLedger) -> None:
    """Raise TeacherError, in the vendor's words, for a batch that it refused as a whole; nothing was worked on then."""
    if found.status != "failed":
        return
    batches.abandon(batches.name(found.id))
    words = "; ".join(str(error.message) for error in (found.errors and found.errors.data) or ()) or "no reason was given"
    raise TeacherError(f"The teacher refused batch {found.id}: {words}. Nothing was paid; mend that, or set teacher.batch = false.")


def _result_lines(client: OpenAI, found: Batch) -> Iterator[dict[str, Any]]:
    """The lines of the output file and of the error file, in the vendor's order.

    An empty one for a line that cannot be read, and for a file the vendor no longer has.
    """
    for file in (found.output_file_id, found.error_file_id):
        for line in _content(client, file).splitlines() if file else ():
            try:
                row = json.loads(line)
            except ValueError:
                row = {}
            yield row if isinstance(row, dict) else {}


def _content(client: OpenAI, file: str) -> bytes:
    try:
        return client.files.content(file).content
    except NotFoundError:
        log.warning("The teacher no longer has the file %s: what it held counts as perhaps paid, and is asked for again.", file)
        return b"gone"


def _apply(line: dict[str, Any], send: Any, prices: Prices, ledger: Ledger) -> str:
    """Settle one send: answered, or refused."""
    response = line.get("response") or {}
    if response.get("status_code") != 200:
        code = (line.get("error") or {}).get("code") or response.get("status_code") or "no_answer"
        _settle(ledger, send, "free", f"batch_{code}"[:32])
        return "refused"
    try:
        reply = read_reply(json.dumps(response.get("body")).encode())
    except CallFault as fault:
        _settle(ledger, send, "perhaps_paid", fault.code)
        return "refused"
    facts, cost = json.loads(send.facts), prices.cost(reply.usage) if reply.usage else send.worst
    row = answer_row(facts, Answer(facts["key"], reply.text, reply.finish_reason, reply.usage, cost))
    ledger.record([], [{"send": send.id, "to": "paid", "paid": cost, "why": None}], [ledger.stamped(row)])
    return "answered"


def _settle(ledger: Ledger, send: Any, state: SendState, why: str) -> None:
    ledger.record([], [{"send": send.id, "to": state, "paid": None, "why": why}], [])
