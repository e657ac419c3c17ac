"""The table `[keep]` of a writer file: what housekeeping leaves of earlier nights."""

from pydantic import Field

from ghostwriter.writer_settings import Section


class Keep(Section):
    """What stays of earlier nights, beside all that the champion, the one before it and whatever is at work need.

    Archive, ledger, votes, every version that was ever the champion, and all figures in MLflow stay for good; only `purge` removes them.
    """

    candidates: int = Field(3, ge=1)
    """So many of the newest candidates keep their run folder, dataset and snapshot, and their adapter in MLflow."""
    days: int = Field(8, ge=8)
    """What was used within so many days stays. An approval may wait for seven."""
    unfinished_days: int = Field(60, ge=8)
    """A training or evaluation that did not end keeps its checkpoints for so long: it goes on from there when it runs again."""
    log_days: int = Field(30, ge=1)
    """Logs of tasks stay so long: as long as the writer who asks for most."""
