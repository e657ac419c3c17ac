"""How often one version is preferred over another, by the votes between these two alone."""

from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.votes.win_rate import win_rate
from tests.vote_case import vote


def test_sides_are_turned_round_and_other_pairs_and_writers_do_not_count(home: Home) -> None:
    engine = open_database(home.database_url)
    for _ in range(6):
        vote(engine, "a", versions=("3", "2"))
    vote(engine, "b", versions=("2", "3"))
    vote(engine, "a", versions=("2", "3"))
    vote(engine, "bad", versions=("3", "2"))
    vote(engine, "tie", versions=("2", "3"))
    vote(engine, "b", versions=("3", "base"))
    vote(engine, "b", versions=("3", "2"), writer="other")
    found = win_rate(engine, "tester", "3", "2")
    assert (found.wins, found.undecided, found.losses, found.votes) == (7, 2, 1, 10)
    assert found.share
    assert found.share.value == 0.8
    assert 0.5 < found.share.low < 0.8 < found.share.high <= 1.0
    mirrored = win_rate(engine, "tester", "2", "3")
    assert (mirrored.wins, mirrored.losses) == (1, 7)


def test_a_handful_of_votes_gives_no_share(home: Home) -> None:
    engine = open_database(home.database_url)
    for _ in range(4):
        vote(engine, "a")
    assert win_rate(engine, "tester", "3", "2").share is None


def test_five_votes_won_of_five_do_not_make_it_certain(home: Home) -> None:
    engine = open_database(home.database_url)
    for _ in range(5):
        vote(engine, "a", versions=("3", "2"))
    share = win_rate(engine, "tester", "3", "2").share
    assert share
    assert (share.value, share.high) == (1.0, 1.0)
    assert share.low < 0.6
