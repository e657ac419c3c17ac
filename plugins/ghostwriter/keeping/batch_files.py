"""Removes the files of finished batches at the teacher's vendor, once every answer in them stands in the ledger.

A vendor may keep them for ever, and only so many (Alibaba Cloud: 10,000). One whose API cannot delete keeps them: that is logged.
May be killed anywhere: a file that is gone already counts as removed.
"""

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from http import HTTPStatus

from openai import APIStatusError, NotFoundError, OpenAI
from sqlalchemy import Engine

from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.teacher.batch_api import FINISHED, batch_api
from ghostwriter.teacher.batch_ledger import files_removed, settled
from ghostwriter.teacher.client import Endpoint
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

NO_DELETION = (HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED)


class CannotDelete(Exception):
    """The vendor's API has no deletion."""


def remove_batch_files(
    writer: Writer, home: Home, endpoint_of: Callable[[], Endpoint], now: datetime, *, dry_run: bool = False
) -> tuple[str, ...]:
    """Remove a writer's; returns the files' ids at the vendor, with a dry run of those that would go. Raises TeacherError and its kinds.

    `endpoint_of` is called only where a batch has something to remove: a writer without batches needs no connection for this.
    """
    engine = open_database(home.database_url)
    try:
        batches = settled(engine, writer.ledgers, now - timedelta(days=writer.keep.days))
        if not batches:
            return ()
        with batch_api(endpoint_of()) as client:
            return tuple(_removed(client, engine, batches, dry_run=dry_run))
    finally:
        engine.dispose()


def _removed(client: OpenAI, engine: Engine, batches: list[str], *, dry_run: bool) -> Iterator[str]:
    try:
        for batch in batches:
            files = _files(client, batch)
            for file in files or ():
                if not dry_run:
                    _delete(client, file)
                log.info("%s %s of batch %s at the teacher's vendor", "Would remove" if dry_run else "Removed", file, batch)
                yield file
            if files is not None and not dry_run:
                files_removed(engine, batch)
    except CannotDelete:
        log.warning("The teacher's API cannot delete files: those of %d finished batches stay until the vendor removes them.", len(batches))
    except NotFoundError:
        log.warning("The teacher's address has no Batch API any more: files of %d batches stay at the one they went to.", len(batches))


def _files(client: OpenAI, batch: str) -> list[str] | None:
    """The files a batch came from and left: none of one that the vendor has forgotten, None of one that is not to be touched.

    Raises NotFoundError where there are no batches at all.
    """
    try:
        found = client.batches.retrieve(batch)
    except NotFoundError:
        client.batches.list(limit=1)
        log.warning("The teacher does not know batch %s: it forgot it, or it went to another address. Its files are left alone.", batch)
        return []
    if found.status not in FINISHED:
        log.warning("Batch %s is %s at the teacher's, though its answers are here: its files are left alone.", batch, found.status)
        return None
    return [file for file in (found.input_file_id, found.output_file_id, found.error_file_id) if file]


def _delete(client: OpenAI, file: str) -> None:
    """Raises CannotDelete where the API has no such thing."""
    try:
        deleted = client.files.delete(file).deleted is not False
    except NotFoundError:
        deleted = not _is_there(client, file)
    except APIStatusError as error:
        if error.status_code not in NO_DELETION:
            raise
        deleted = False
    if not deleted:
        raise CannotDelete(file)


def _is_there(client: OpenAI, file: str) -> bool:
    """By the request that fetched the answers; nothing is read."""
    try:
        with client.files.with_streaming_response.content(file):
            return True
    except NotFoundError:
        return False
