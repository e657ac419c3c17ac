"""How often one version's answers are preferred over another's, by votes that did not know whose they were."""

from dataclasses import dataclass

from sqlalchemy import Engine, and_, or_, select

from ghostwriter.votes.records import VoteRow
from training.contract import Estimate

NEWEST = 1_000
"""Votes counted: the interval's resamples of more would cost the page seconds and 100 MB."""
LEAST = 5
"""Votes from which on a share is given: fewer say nothing."""


@dataclass(frozen=True)
class WinRate:
    """A version against another: votes won, undecided (equally good or both bad) and lost.

    `share` is that of votes won, undecided ones counting half, with its 95 % interval;
    None below LEAST votes.
    """

    wins: int
    undecided: int
    losses: int
    share: Estimate | None

    @property
    def votes(self) -> int:
        """All of them."""
        return self.wins + self.undecided + self.losses


def win_rate(engine: Engine, writer: str, version: str, rival: str) -> WinRate:
    """From the newest votes that compared the two, on whichever sides they stood."""
    orders = ((version, rival), (rival, version))
    compared = or_(*(and_(VoteRow.version_a == a, VoteRow.version_b == b) for a, b in orders))
    chosen = select(VoteRow.version_a, VoteRow.choice).where(VoteRow.writer == writer, compared)
    with engine.connect() as connection:
        rows = connection.execute(chosen.order_by(VoteRow.voted.desc()).limit(NEWEST)).all()
    return _counted([_points(row.choice, a_is_version=row.version_a == version) for row in rows])


def _points(choice: str, *, a_is_version: bool) -> float:
    """1 for a vote won, 0 for one lost, a half for an undecided one."""
    if choice not in ("a", "b"):
        return 0.5
    return float((choice == "a") == a_is_version)


def _counted(points: list[float]) -> WinRate:
    from training.bootstrap import estimate_share

    share = estimate_share(points) if len(points) >= LEAST else None
    return WinRate(points.count(1.0), points.count(0.5), points.count(0.0), share)
