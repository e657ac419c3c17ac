"""Read a list that moves while it is read: page by page into the archive, until its end or until all is known.

Sorted newest first, an answer added meanwhile shifts everything down by one: the next page repeats an item (harmless), and
the new one is found by reading the head again. One deleted shifts everything up: an item slides from the next page onto the
page just read, so that page is read again. The site's own count tells both. What is left to read again is part of the
crawl's stored state, so a killed crawl heals as well.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.orm import Session, sessionmaker

from ghostwriter.collecting.archive import (
    ABANDONED,
    FINISHED,
    FULL,
    INCREMENTAL,
    UNORDERED,
    Change,
    Crawl,
    live_answers,
    mark_gone,
    save_records,
    seen_by,
)
from ghostwriter.collecting.sources.errors import Incomplete, PaginationLoop, UnsafeNextUrl
from ghostwriter.collecting.sources.record import Page, Record, Source

QUIET_PAGES = 2
"""An incremental crawl ends after so many pages in a row that are known and unchanged: one, and one of overlap."""
SHRINK_SHARE, FEW = 0.1, 2
"""A source that lost more than this share of its answers, and more than a few, was more likely cut than edited."""
EMPTY_PAGES = 5
STALE_PAGES = 3
HEAD_PASSES = 5
MOST_REREADS = 50

OnPage = Callable[[Page, Change, tuple[Record, ...]], None]


@dataclass(frozen=True)
class Outcome:
    """How a crawl ended: whether the site itself said that the list is over, and how many answers were found to be gone."""

    reached_end: bool
    gone: int


class Walk:
    """One process's part of a crawl."""

    def __init__(self, sessions: sessionmaker[Session], source: Source, crawl: int, on_page: OnPage, *, may_shrink: bool = False) -> None:
        """`may_shrink`: a person has said that what is missing is gone, however much it is."""
        self._sessions = sessions
        self._source = source
        self._number = crawl
        self._on_page = on_page
        self._may_shrink = may_shrink
        self._seen: set[str] = set()
        self._empty = self._stale = self._rereads = 0
        self._oversize = False

    def run(self) -> Outcome:
        """Read until nothing is left to read; raises SourceFailure, with all pages before it saved."""
        for _ in range(HEAD_PASSES):
            while (step := self._next_step()) is not None:
                self._step(step[0], onward=step[1])
            if not self._read_head_again():
                break
        return self._finish()

    def _next_step(self) -> tuple[int, bool] | None:
        """Offset of the next page to read and whether it lies onward (not to be read again); None at the end."""
        with self._sessions() as session:
            crawl = self._crawl(session)
            pending = json.loads(crawl.rereads)
            if pending:
                return int(pending[0]), False
            if crawl.ended or self._empty >= EMPTY_PAGES or (crawl.mode == INCREMENTAL and crawl.quiet_pages >= QUIET_PAGES):
                return None
            return crawl.offset, True

    def _step(self, offset: int, *, onward: bool) -> tuple[Page, Change]:
        """Fetch one page and commit it together with the crawl's new position."""
        page = self._source.page(offset)
        with self._sessions.begin() as session:
            crawl = self._crawl(session)
            change = save_records(session, crawl, page.records)
            grown = self._notice_moves(crawl, page, offset, onward=onward)
            if onward:
                self._advance(crawl, page, change)
            else:
                crawl.rereads = json.dumps([left for left in json.loads(crawl.rereads) if left != offset])
        self._on_page(page, change, tuple(record for record in page.records if record.id in {*change.new, *change.changed}))
        self._guard(page, counted=onward and not grown)
        return page, change

    def _advance(self, crawl: Crawl, page: Page, change: Change) -> None:
        """Move the position past an onward page."""
        self._oversize = self._oversize or len(page.records) > self._source.page_size
        repeats = len({record.id for record in page.records}) - change.unseen
        if repeats > 0 and crawl.mode == FULL and not self._oversize:
            crawl.head_moved = True
        crawl.offset += self._source.page_size
        crawl.ended = page.is_end
        if page.records:
            crawl.quiet_pages = 0 if change.count else crawl.quiet_pages + 1
            crawl.floor = _floor(crawl.floor, [record.created for record in page.records])
        self._empty = 0 if page.records else self._empty + 1

    def _notice_moves(self, crawl: Crawl, page: Page, offset: int, *, onward: bool) -> bool:
        """Compare the site's count with the one on the page before; returns whether it grew."""
        before, crawl.total = crawl.total, page.total if page.total is not None else crawl.total
        moved = 0 if before is None or page.total is None else page.total - before
        if moved > 0:
            crawl.head_moved = True
        if moved < 0 and not crawl.ended:
            boundary = offset if onward else crawl.offset
            self._read_again(crawl, boundary, math.ceil(-moved / self._source.page_size))
        if moved > 0 and not onward and json.loads(crawl.rereads):
            # what slid onto this page was pushed on again before the page was read
            pages = math.ceil(moved / self._source.page_size)
            self._read_again(crawl, min(offset + self._source.page_size * (pages + 1), crawl.offset), pages)
        return moved > 0

    def _read_again(self, crawl: Crawl, boundary: int, pages: int) -> None:
        """Plan to read the pages just before `boundary` again."""
        size = self._source.page_size
        wanted = [boundary - size * back for back in range(1, pages + 1) if boundary - size * back >= 0]
        planned = json.loads(crawl.rereads)
        room = MOST_REREADS - self._rereads
        fresh = [offset for offset in wanted if offset not in planned][:room]
        self._rereads += len(fresh)
        crawl.rereads = json.dumps(planned + fresh)

    def _read_head_again(self) -> bool:
        """If answers were added meanwhile, read from the top until a page holds one this crawl has seen."""
        with self._sessions() as session:
            crawl = self._crawl(session)
            moved, total = crawl.head_moved, crawl.total
        if not moved:
            return False
        offset = 0
        while True:
            page, change = self._step(offset, onward=False)
            if page.is_end or change.unseen < len({record.id for record in page.records}) or not page.records:
                break
            offset += self._source.page_size
        with self._sessions.begin() as session:
            crawl = self._crawl(session)
            crawl.head_moved = (crawl.total or 0) > (total or 0)
        return True

    def _guard(self, page: Page, *, counted: bool) -> None:
        """Raise PaginationLoop for a list that repeats itself or outgrows its own count, UnsafeNextUrl for a link to elsewhere."""
        ids = {record.id for record in page.records}
        self._stale = self._stale + 1 if counted and ids and ids <= self._seen else 0 if counted and ids else self._stale
        self._seen |= ids
        most = 200_000 if page.total is None else 2 * page.total + 1_000
        if self._stale >= STALE_PAGES or len(self._seen) > most:
            self._abandon()
            what = (
                f"{STALE_PAGES} pages in a row held nothing new"
                if self._stale >= STALE_PAGES
                else f"{len(self._seen)} answers came, the site counts {page.total}"
            )
            raise PaginationLoop(f"The list of answers does not end: {what}.")
        if page.unsafe_next is not None:
            raise UnsafeNextUrl(
                f"The page names {page.unsafe_next[:200]!r} as its next page, which is not this list. It was not requested."
            )

    def _abandon(self) -> None:
        with self._sessions.begin() as session:
            self._crawl(session).state = ABANDONED

    def _finish(self) -> Outcome:
        with self._sessions.begin() as session:
            crawl = self._crawl(session)
            crawl.state = FINISHED
            gone, seen, total, live = 0, seen_by(session, crawl), crawl.total, live_answers(session, crawl.writer)
            cut = crawl.ended and self._source.complete and total is not None and 2 * seen < total
            with session.begin_nested() as marking:
                if crawl.ended and self._source.complete and not cut:
                    gone = mark_gone(session, crawl)
                elif not crawl.ended and crawl.mode == INCREMENTAL and crawl.floor not in (None, UNORDERED):
                    gone = mark_gone(session, crawl, created_after=crawl.floor)
                shrunk = not self._may_shrink and gone > max(FEW, SHRINK_SHARE * live)
                if shrunk:
                    marking.rollback()
            outcome = Outcome(crawl.ended, gone)
        if shrunk:
            raise Incomplete(
                f"{gone} of {live} answers are missing from the source at once, more than {SHRINK_SHARE:.0%}. Nothing was marked as gone. "
                "Look at the source; if they are gone on purpose, read everything again (--full, or the form's checkbox)."
            )
        if cut:  # such a list is wrong, and nothing in it says what is gone
            raise Incomplete(f"The list ended after {seen} answers, the site says {total}. Nothing was marked as gone.")
        return outcome

    def _crawl(self, session: Session) -> Crawl:
        return session.get_one(Crawl, self._number)


def _floor(before: int | None, created: list[int]) -> int:
    """The oldest creation time so far; UNORDERED once a page is not sorted newest first."""
    if before == UNORDERED or min(created) <= 0 or created != sorted(created, reverse=True):
        return UNORDERED
    return min(created[-1], before) if before is not None else created[-1]
