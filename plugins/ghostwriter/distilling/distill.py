"""From a snapshot of answers to a dataset: ask the teacher for what the ledger does not hold yet, filter, split, check, write.

distill(writer, home, answers, endpoint)    the dataset's folder; a rerun buys nothing twice
estimate(writer, home, answers)             the plan and what it would cost; asks nothing, spends nothing
"""

import logging
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy.exc import OperationalError

from ghostwriter.database import open_database
from ghostwriter.distilling.corpus import Corpus, read_corpus
from ghostwriter.distilling.dataset import teacher_row, write_dataset
from ghostwriter.distilling.diversity import compare
from ghostwriter.distilling.forecast import Estimate, joined, make_estimate
from ghostwriter.distilling.harvest import Counts, Harvest
from ghostwriter.distilling.purchase import Bought, Purchase, cost_of, purchases_of
from ghostwriter.distilling.rewrite import harvest_of, inverse_rows
from ghostwriter.distilling.split import split_name
from ghostwriter.distilling.tracker import Tracker
from ghostwriter.errors import ConnectionMissing, GhostwriterError, HomeError
from ghostwriter.home import Home
from ghostwriter.lock import only_one
from ghostwriter.model_settings import Teacher as Settings
from ghostwriter.modes import PURCHASES, Mode
from ghostwriter.teacher.batch_ledger import BatchLedger
from ghostwriter.teacher.budget import Prices, Purse, money
from ghostwriter.teacher.buy import Buyer
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.client import Endpoint, Teacher, TeacherUnfit
from ghostwriter.teacher.journal import Journal
from ghostwriter.teacher.ledger import Ledger
from ghostwriter.teacher.month import Month
from ghostwriter.teacher.progress import Listener, LogLines, duration
from ghostwriter.teacher.throttle import Throttle
from ghostwriter.writer import Writer

__all__ = ["Endpoint", "Estimate", "distill", "estimate"]

log = logging.getLogger(__name__)
logging.getLogger("httpx2").setLevel(logging.WARNING)  # at INFO it logs each of ten thousand calls


class BatchOpen(GhostwriterError):
    """A batch of this writer is with the teacher, and not yet applied."""

    code = "batch_open"


def distill(
    writer: Writer,
    home: Home,
    answers: Path,
    endpoint: Endpoint | None,
    *,
    mode: Mode | None = None,
    progress: Listener | None = None,
    buy_again: bool = False,
    patience: float = 0.0,
) -> Path:
    """Build the dataset of a finished snapshot of answers and return its folder.

    Another process that distils for the writer is waited for `patience` seconds. Raises CorpusTooSmall before any call, and BuysAgain
    unless `buy_again`; BudgetExceeded, TeacherError and its kinds, Leak. Whatever was bought is in the ledger then, and a rerun goes
    on from there.
    """
    started, mode = time.monotonic(), mode or writer.mode
    writer = writer.asking(mode)
    corpus = read_corpus(writer, answers, home)
    log.info("Distilling for %s (%s): %d pairs to learn from, %d held out.", writer.name, mode, len(corpus.training), len(corpus.heldout))
    if mode == "direct":
        folder = write_dataset(
            home.datasets(writer.stem), writer.stem, answers, corpus, [], {}, {"mode": "direct", "split": split_name(writer)}
        )
    elif endpoint is None:
        raise ConnectionMissing(f"Mode {mode!r} asks a teacher, and none was named. Give its connection, or choose mode 'direct'.")
    else:
        progress = progress or LogLines()
        folder = _with_teacher(writer, home, answers, corpus, endpoint, mode, progress, buy_again=buy_again, patience=patience)
    log.info("Dataset %s written in %s.", folder, duration(time.monotonic() - started))
    return folder


def estimate(writer: Writer, home: Home, answers: Path, *, mode: Mode | None = None) -> Estimate:
    """The plan of a run and what it would cost. Raises CorpusTooSmall and WriterFileError as the run would."""
    mode = mode or writer.mode
    writer = writer.asking(mode)
    corpus = read_corpus(writer, answers, home)
    if mode == "direct":
        return Estimate(pairs=len(corpus.training), heldout=len(corpus.heldout))
    engine = open_database(home.database_url)
    try:
        return _estimate(writer, corpus, purchases_of(writer, corpus, answers, engine, mode))
    finally:
        engine.dispose()


def _estimate(writer: Writer, corpus: Corpus, purchases: Sequence[Purchase]) -> Estimate:
    return joined([make_estimate(writer, corpus, one.planner, one.ledger, one.spent) for one in purchases])


def _with_teacher(
    writer: Writer,
    home: Home,
    answers: Path,
    corpus: Corpus,
    endpoint: Endpoint,
    mode: Mode,
    progress: Listener,
    *,
    buy_again: bool,
    patience: float,
) -> Path:
    home.check_space()
    engine = open_database(home.database_url)
    try:
        with only_one(engine, writer.stem, patience=patience):
            for part in PURCHASES[mode]:
                _check_no_batch(BatchLedger(engine, writer.ledger(part)))
                _close_interrupted(Ledger(engine, writer.ledger(part)))
            purchases = purchases_of(writer, corpus, answers, engine, mode)
            plan = _estimate(writer, corpus, purchases)
            _announce(plan)
            if not buy_again:
                plan.check_buys_again()
            bought = []
            for purchase in purchases:
                spent = sum((one.spent.total for one in purchases), Decimal(0))
                harvest = uvloop.run(_collect(writer, corpus, endpoint, purchase, spent, progress))
                bought.append(Bought(purchase, harvest, _checked(harvest, purchase, writer.teacher)))
            return _write(writer, home, answers, corpus, bought, mode)
    except OperationalError as error:
        raise HomeError(
            f"The ledger cannot be written: {error.orig}. Free the disk or look at the database; what was bought is kept."
        ) from error
    finally:
        engine.dispose()


def _check_no_batch(batches: BatchLedger) -> None:
    if found := batches.open():
        raise BatchOpen(
            f"Batch {found.vendor_id or found.name} is still open: what it brings would be bought twice. "
            "Go on with --batch (or teacher.batch = true), or give it up with --forget-batch."
        )


def _close_interrupted(ledger: Ledger) -> None:
    lost = ledger.close_interrupted()
    if lost.perhaps_paid_sends:
        log.warning(
            "%d calls were in flight when an earlier run ended: counted as possibly paid, at most %s.",
            lost.perhaps_paid_sends,
            money(lost.perhaps_paid),
        )


def _announce(estimate: Estimate) -> None:
    for line in str(estimate).splitlines():
        log.info(line)


async def _collect(writer: Writer, corpus: Corpus, endpoint: Endpoint, purchase: Purchase, spent: Decimal, progress: Listener) -> Harvest:
    """Ask in batches: first for all answers wanted, then for as many as were rejected, until there are enough or `attempts` are used up.

    `spent` is what the run has spent on all its purchases, which share its cap.
    """
    settings, prices, planner, ledger = writer.teacher, Prices.of(writer.budget), purchase.planner, purchase.ledger
    purse = Purse(writer.budget.cap, spent, Month(writer, ledger.engine, purchase.run, spent))
    throttle = Throttle(
        settings.concurrency, requests_per_minute=settings.requests_per_minute, tokens_per_minute=settings.tokens_per_minute
    )
    harvest = harvest_of(writer, corpus, purchase.mode)
    tracker = Tracker(planner.wanted, harvest, purse, throttle, planner, progress)
    connection = Teacher(endpoint, planner.parameters, timeout_seconds=settings.timeout_seconds, concurrency=settings.concurrency)
    async with connection as teacher, Journal(ledger, purchase.run) as journal, tracker:
        buyer = Buyer(teacher, journal, purse, throttle, planner, settings, prices)
        while calls := planner.take(min(planner.wanted - len(harvest.accepted), int(planner.wanted * settings.attempts) - planner.planned)):
            missing = _deliver_known(calls, ledger, harvest)
            tracker.start(len(missing))
            await buyer.buy(missing, tracker.counting(harvest.deliver))
            harvest.settle(calls)
            planner.settle(accepted.call for accepted in harvest.accepted)
    return harvest


def _deliver_known(calls: Sequence[Call], ledger: Ledger, harvest: Harvest) -> list[Call]:
    """Take from the ledger what it holds; returns the rest."""
    known = ledger.answers(call.key for call in calls)
    for call in calls:
        if call.key in known:
            harvest.deliver(call, known[call.key])
    return [call for call in calls if call.key not in known]


def _checked(harvest: Harvest, purchase: Purchase, settings: Settings) -> Counts:
    """The counts of a purchase. Raises TeacherUnfit when too little came of it."""
    counts = harvest.counts()
    log.info(str(counts))
    check_enough(counts, purchase.planner.wanted, settings)
    return counts


def _write(writer: Writer, home: Home, answers: Path, corpus: Corpus, bought: Sequence[Bought], mode: Mode) -> Path:
    """Write the dataset of what was bought."""
    model = writer.teacher.model
    by_mode = {each.purchase.mode: each for each in bought}
    rewrites, taught = by_mode.pop("inverse", None), next(iter(by_mode.values()), None)
    rows, inverse = [], []
    facts: dict[str, Any] = {"mode": mode, "split": split_name(writer), "cost": cost_of(bought)}
    dropped: dict[str, int] = {}
    if taught:
        prompt = taught.purchase.planner.prompt
        rows = [teacher_row(accepted, taught.purchase.mode, model, prompt.hash) for accepted in taught.harvest.accepted]
        texts = [accepted.text for accepted in taught.harvest.accepted]
        facts |= taught.facts
        facts["sampling"] = {"seed": writer.teacher.seed, "examples": writer.teacher.examples, "questions": len(corpus.questions)}
        facts["diversity"] = compare([pair.answer for pair in corpus.training], texts)
        dropped |= {f"teacher:{reason}": number for reason, number in taught.counts.rejected.items()}
    if rewrites:
        prompt = rewrites.purchase.planner.prompt
        inverse = inverse_rows(corpus, rewrites.harvest.accepted, model, prompt.hash)
        facts["rewrites"] = rewrites.facts
        dropped |= {f"rewrite:{reason}": number for reason, number in rewrites.counts.rejected.items()}
    return write_dataset(home.datasets(writer.stem), writer.stem, answers, corpus, rows, dropped, facts, inverse)


def check_enough(counts: Counts, wanted: int, settings: Settings) -> None:
    """Raise TeacherUnfit when too many calls failed or too few answers were accepted."""
    failed = sum(counts.failed.values())
    if failed > settings.failed_share * counts.planned:
        raise TeacherUnfit(
            f"{failed} of {counts.planned} calls failed ({_list(counts.failed)}), "
            f"more than teacher.failed_share = {settings.failed_share:g} allows. Run again later; what was bought is kept."
        )
    if counts.accepted < wanted * settings.accepted_share:
        raise TeacherUnfit(
            f"{counts.accepted} of {wanted} answers wanted were accepted after {counts.planned} calls, less than "
            f"teacher.accepted_share = {settings.accepted_share:g} asks for. Rejected: {_list(counts.rejected)}. "
            "Look at the teacher's answers, use a stronger one, or raise teacher.attempts."
        )


def _list(reasons: Mapping[str, int]) -> str:
    return ", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items(), key=lambda item: -item[1])) or "none"
