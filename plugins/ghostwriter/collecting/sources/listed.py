"""A source whose records are all at hand at once: what files and recordings become."""

from collections.abc import Sequence

from ghostwriter.collecting.sources.record import Page, Record

PAGE_SIZE = 200


class ListedSource:
    """Records in pages of 200, each a transaction of the archive."""

    page_size = PAGE_SIZE
    requests = 0
    always_full = True

    def __init__(self, records: Sequence[Record], *, total: int | None, skipped: int, complete: bool) -> None:
        self.complete = complete
        self._records = records
        self._total = total
        self._skipped = skipped

    @property
    def records(self) -> Sequence[Record]:
        """All of them."""
        return self._records

    def check(self) -> None:
        """Nothing to check: the files were read."""

    def page(self, offset: int) -> Page:
        """The records from `offset` on; what was skipped is counted on the first page."""
        return Page(
            records=tuple(self._records[offset : offset + PAGE_SIZE]),
            is_end=offset + PAGE_SIZE >= len(self._records),
            total=self._total,
            skipped=self._skipped if offset == 0 else 0,
        )

    def error_body(self) -> str | None:
        """Nothing was requested."""
        return None
