"""Collect: bring a writer's archive up to date from the source the writer file names, and say how complete it is."""

import fcntl
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, sessionmaker

from ghostwriter.collecting.archive import FULL, Change, counts, new_crawl, open_crawl, recent_stop, remember_stop
from ghostwriter.collecting.clean import clean, excerpt_matches
from ghostwriter.collecting.crawl import Walk
from ghostwriter.collecting.purged import purged_ids
from ghostwriter.collecting.sources import open_source
from ghostwriter.collecting.sources.errors import AlreadyRunning, Incomplete, SourceFailure, UnknownError
from ghostwriter.collecting.sources.har import open_har
from ghostwriter.collecting.sources.record import Page, Record, Source
from ghostwriter.database import open_database
from ghostwriter.errors import HomeError
from ghostwriter.home import Home
from ghostwriter.writer import Writer

COOL_DOWN = timedelta(hours=1)
LOG_EVERY_PAGES = 20

log = logging.getLogger(__name__)


class CollectReport(BaseModel):
    """What one run did, and how complete the archive is after it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    writer: str
    saved: int
    """Answers new or changed in this run."""
    new: int
    changed: int
    newly_gone: int
    known: int
    """Answers in the archive, those gone from the site among them."""
    gone: int
    purged: int
    """Answers that were purged, and are not read again."""
    site_total: int | None
    requests: int
    pages: int
    skipped_items: int
    """Items without an id, entries without content, lines that are no JSON: what could not be kept."""
    excerpts_checked: int
    excerpts_failed: int
    """Answers whose cleaned text does not start with the site's own excerpt."""
    seconds: float
    statement: str
    """Completeness in a sentence."""


@dataclass
class Tally:
    """Counts of a run while it runs; handed to the progress display after each page."""

    site_total: int | None = None
    seen: int = 0
    """Answers on the pages read, those read before this run's start among them."""
    pages: int = 0
    new: int = 0
    changed: int = 0
    skipped_items: int = 0
    excerpts_checked: int = 0
    excerpts_failed: int = 0
    newly_gone: int = 0
    started: float = field(default_factory=time.monotonic)

    def add(self, page: Page, change: Change, saved: tuple[Record, ...]) -> None:
        """Count one page."""
        self.pages += 1
        self.seen += len(page.records)
        self.site_total = page.total if page.total is not None else self.site_total
        self.new += len(change.new)
        self.changed += len(change.changed)
        self.skipped_items += page.skipped
        for record in saved:
            matches = excerpt_matches(clean(record.body, record.body_kind).text, record.excerpt)
            self.excerpts_checked += matches is not None
            self.excerpts_failed += matches is False


Progress = Callable[[Tally], None]


def collect(
    writer: Writer,
    home: Home,
    *,
    cookie: str | None = None,
    user_agent: str | None = None,
    site: str | None = None,
    pace: float | None = None,
    full: bool = False,
    progress: Progress | None = None,
) -> CollectReport:
    """Read what is new (everything the first time, or with `full`) into the archive.

    Only with `full` may more than a tenth of the answers turn out to be gone at once. `cookie` is the text as it was
    pasted; `pace` the mean pause in seconds (None: the writer file's). Raises SourceFailure with the report of what was kept as
    its `report`; an unfinished run goes on from the page where it ended.
    """
    source = open_source(writer, cookie=cookie, user_agent=user_agent, site=site, pace=pace)
    return _run(source, writer, home, f"{writer.source.kind}:{writer.source.account}", full, progress)


def import_har(writer: Writer, home: Home, path: Path) -> CollectReport:
    """Put the pages of a browser's recording into the archive; a part of the list will do. Raises SourceFailure."""
    account = writer.source.account if writer.source.kind == "zhihu" else None
    return _run(open_har(path, account), writer, home, f"har:{path.name}", full=True, progress=None, tolerance=1.0)


def _run(
    source: Source, writer: Writer, home: Home, account: str, full: bool, progress: Progress | None, tolerance: float | None = None
) -> CollectReport:
    stem, tally = writer.stem, Tally()
    with _database(home) as sessions, collection_lock(home, stem):
        _warn_after_stop(sessions, stem)
        try:
            source.check()
            _crawl(sessions, source, stem, account, full, tally, progress)
            report = _report(sessions, stem, source, tally)
            _refuse_gap(report, writer.source.tolerance if tolerance is None else tolerance)
        except SourceFailure as failure:
            _explain(failure, sessions, home, stem, source, tally)
            raise
    log.info("%s: %s %d requests, %.0f s.", stem, report.statement, report.requests, report.seconds)
    return report


def _crawl(
    sessions: sessionmaker[Session], source: Source, stem: str, account: str, full: bool, tally: Tally, progress: Progress | None
) -> None:
    with sessions.begin() as session:
        crawl = new_crawl(session, stem, account, FULL) if source.always_full else open_crawl(session, stem, account, full)
        log.info("%s: %s crawl of %s from answer %d on.", stem, crawl.mode, account, crawl.offset)
        number, tally.site_total, tally.seen = crawl.number, crawl.total, crawl.offset

    def on_page(page: Page, change: Change, saved: tuple[Record, ...]) -> None:
        tally.add(page, change, saved)
        if tally.pages % LOG_EVERY_PAGES == 0:
            log.info("%s: %d pages, %d new, %d changed.", stem, tally.pages, tally.new, tally.changed)
        if progress:
            progress(tally)

    tally.newly_gone = Walk(sessions, source, number, on_page, may_shrink=full).run().gone


def _report(sessions: sessionmaker[Session], stem: str, source: Source, tally: Tally) -> CollectReport:
    with sessions() as session:
        known, gone = counts(session, stem)
        purged = len(purged_ids(session, stem))
    return CollectReport(
        writer=stem,
        saved=tally.new + tally.changed,
        new=tally.new,
        changed=tally.changed,
        newly_gone=tally.newly_gone,
        known=known,
        gone=gone,
        purged=purged,
        site_total=tally.site_total,
        requests=source.requests,
        pages=tally.pages,
        skipped_items=tally.skipped_items,
        excerpts_checked=tally.excerpts_checked,
        excerpts_failed=tally.excerpts_failed,
        seconds=round(time.monotonic() - tally.started, 3),
        statement=_statement(known, gone, tally),
    )


def _statement(known: int, gone: int, tally: Tally) -> str:
    live = known - gone
    if not tally.pages:
        return f"No page was read; {live} answers are archived."
    saved = _beside_the_sites(live, tally.site_total)
    told = f"{tally.new} new, {tally.changed} changed, {tally.newly_gone} newly gone. {saved}"
    if gone:
        told = f"{told} {gone} more are gone from the site and kept."
    if tally.excerpts_checked:
        share = tally.excerpts_failed / tally.excerpts_checked
        told = f"{told} {share:.1%} of {tally.excerpts_checked} cleaned texts do not start like the site's own excerpt."
    if tally.skipped_items:
        told = f"{told} {tally.skipped_items} items could not be read and were skipped."
    return told


def _beside_the_sites(live: int, site_total: int | None) -> str:
    """How many answers are saved, beside the site's own count."""
    if site_total is None:
        return f"{live} saved; the site does not say how many there are."
    if site_total > live:
        return f"{live} saved, site says {site_total} (hidden or deleted answers are counted there)."
    if site_total < live:
        return f"{live} saved, site says {site_total}: some were probably deleted there; --full finds out which."
    return f"{live} saved, as many as the site says."


def _refuse_gap(report: CollectReport, tolerance: float) -> None:
    live = report.known - report.gone + report.purged
    if report.site_total is not None and report.site_total - live > tolerance * report.site_total:
        raise Incomplete(f"{live} answers were found, the site says {report.site_total}: more than {tolerance:.0%} are missing.")


def _explain(failure: SourceFailure, sessions: sessionmaker[Session], home: Home, stem: str, source: Source, tally: Tally) -> None:
    """Add to a failure what was kept; remember an anti-bot stop; save the body of an unknown error."""
    report = _report(sessions, stem, source, tally)
    failure.report = report
    failure.kept = f"Kept: {report.known} answers in the archive, {report.saved} of them new or changed in this run."
    if failure.anti_bot:
        with sessions.begin() as session:
            remember_stop(session, stem, failure.code)
    body = source.error_body() if isinstance(failure, UnknownError) else None
    if body:
        path = home.path / "errors" / f"{stem}-{datetime.now(UTC):%Y%m%dT%H%M%S}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(body, encoding="utf-8", errors="replace")
        failure.kept += f" The answer of the site is in {path}."


def _warn_after_stop(sessions: sessionmaker[Session], stem: str) -> None:
    with sessions() as session:
        stop = recent_stop(session, stem, COOL_DOWN)
    if stop:
        error, age = stop
        log.warning(
            "Warning: the site stopped a run %d minutes ago (%s). Trying again within an hour may prolong the block.",
            age.total_seconds() // 60,
            error,
        )


@contextmanager
def _database(home: Home) -> Iterator[sessionmaker[Session]]:
    """Sessions on the archive; a database that cannot be written is a HomeError, with every earlier page kept."""
    engine = None
    try:
        engine = open_database(home.database_url)
        yield sessionmaker(engine, expire_on_commit=False)
    except DBAPIError as error:
        raise HomeError(
            f"The archive under {home.path} cannot be written ({error.orig}). Free the disk or check the database; saved pages are kept."
        ) from error
    finally:
        if engine is not None:
            engine.dispose()


@contextmanager
def collection_lock(home: Home, stem: str) -> Iterator[None]:
    """Hold the writer's lock file; the system frees it when the process ends, however it ends. Raises AlreadyRunning."""
    path: Path = home.path / "locks" / f"{stem}.collect"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise AlreadyRunning(f"Another collection of {stem} is at work on {home.path}.") from None
        yield
