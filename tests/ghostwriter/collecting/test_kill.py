"""A crawl of 200 pages, killed with SIGKILL at 50 random points, ends in the archive of an undisturbed one."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from ghostwriter.collecting.archive import Answer, Crawl, Revision
from ghostwriter.collecting.collect import collect
from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.writer import Writer
from tests.zhihu_site import COOKIE, FaultySite, answers

PAGES, KILLS = 200, 50
COLLECTOR = """
import os, sys
from pathlib import Path
from ghostwriter.collecting.collect import collect
from ghostwriter.home import Home
from ghostwriter.writer import load_writer
site, home, cookie = sys.argv[1:]
for line in sys.stdin:  # the imports take a second: each process to be killed is forked from here
    child = os.fork()
    if child == 0:
        collect(load_writer("laocheng"), Home(Path(home)), cookie=cookie, site=site, pace=0)
        os._exit(0)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@contextmanager
def collector(site: FaultySite, home: Home) -> Iterator[subprocess.Popen[str]]:
    """A process that starts a collection for each line it is sent, and says its pid and, when it has ended, its status."""
    command = [sys.executable, "-W", "ignore", "-c", COLLECTOR, site.url, str(home.path), COOKIE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        yield process
        assert process.stdin
        process.stdin.close()


def start(process: subprocess.Popen[str]) -> int:
    assert process.stdin
    assert process.stdout
    process.stdin.write("go\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def status(process: subprocess.Popen[str]) -> int:
    assert process.stdout
    return int(process.stdout.readline())


def contents(home: Home) -> dict[str, list[Any]]:
    """Everything the archive holds, but the clock's readings."""
    engine = open_database(home.database_url)
    with Session(engine) as session:
        found = {
            table.__tablename__: [
                {
                    column.key: getattr(row, column.key)
                    for column in table.__table__.columns
                    if column.key not in ("first_seen", "started", "replaced")
                }
                for row in session.scalars(select(table).order_by(*table.__table__.primary_key.columns))
            ]
            for table in (Answer, Revision, Crawl)
        }
    engine.dispose()
    return found


def test_fifty_kills_leave_the_archive_of_an_undisturbed_crawl(writer: Writer, home: Home) -> None:
    chance = random.Random(3)
    with FaultySite(answers(PAGES * 20)) as site:
        undisturbed = Home(home.path / "undisturbed")
        collect(writer, undisturbed, cookie=COOKIE, site=site.url, pace=0)
        site.record.seen.clear()
        with collector(site, home) as process:
            for _ in range(KILLS):
                target, child = len(site.record.seen) + chance.randint(1, 6), start(process)
                deadline = time.monotonic() + 60
                while len(site.record.seen) < target:
                    assert time.monotonic() < deadline
                    time.sleep(0.001)
                time.sleep(chance.random() * 0.04)
                os.kill(child, signal.SIGKILL)
                assert status(process) == -signal.SIGKILL
            start(process)
            assert status(process) == 0
        asked = Counter(site.offsets)
    assert set(asked) == set(range(0, PAGES * 20, 20))
    assert sum(asked.values()) <= PAGES + KILLS
    assert sum(asked.values()) > PAGES, "no kill fell between a request and its commit"
    assert contents(home) == contents(undisturbed)
    assert len(contents(home)["answers"]) == PAGES * 20
