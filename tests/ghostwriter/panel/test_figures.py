"""Readers who vote by a rule: a coin comes out at half and is flagged, a perfect reader is believed, three agree."""

import random
from collections.abc import Mapping
from math import sqrt
from statistics import mean

import pytest

from ghostwriter.home import Home
from ghostwriter.panel.ballot import Ballot, ballots_of
from ghostwriter.panel.build import build_panel
from ghostwriter.panel.figures import PanelResult, sum_up, wilson
from ghostwriter.panel.key import Key, find_key
from ghostwriter.panel.summary import headline, summary_markdown
from tests.panel_case import Choice, answer_file, coin, known, material, mostly, perfect, writer_in


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    """A panel of 120 trials."""
    home = Home(tmp_path_factory.mktemp("home"))
    page, _ = build_panel(home, writer_in("en"), material(150), known(), 120, 0)
    return find_key(home, "tester", page.parent.name)


def read(key: Key, readers: Mapping[str, Choice]) -> PanelResult:
    files = [answer_file(key, name, choice) for name, choice in readers.items()]
    return sum_up(key.panel, len(key.trials), ballots_of(key, files))


def test_a_coin_comes_out_at_half_and_is_flagged(key: Key) -> None:
    found = [read(key, {"coin": coin(seed)}) for seed in range(30)]
    shares = [result.readers[0].taken_in for result in found]
    assert mean(share for share in shares if share is not None) == pytest.approx(0.5, abs=0.03)
    assert all(result.readers[0].flagged.startswith("took the untrained base for the writer") for result in found)
    assert all((result.believed, result.turing) == (0, {}) for result in found)
    assert found[0].no_ranks == dict.fromkeys(("voice", "quality"), "no reader can be believed")


def test_a_perfect_reader_is_believed_and_never_taken_in(key: Key) -> None:
    result = read(key, {"Ann": perfect})
    (reader,) = result.readers
    assert (reader.checks, reader.right, reader.taken_in, reader.flagged) == (12, 12, 0.0, "")
    assert {arm: (found.share.value, found.votes, found.needed) for arm, found in result.turing.items()} == {
        "direct": (0, 20, 0),
        "mixed": (0, 20, 0),
    }
    assert result.pairs["direct beside mixed"].share.value == 0
    assert result.no_ranks["voice"] == "no trial was judged by two readers"


def test_three_readers_agree_and_rank(key: Key) -> None:
    readers = {name: mostly(perfect, coin(seed), 0.8, seed) for seed, name in enumerate("ABC")}
    result = read(key, readers)
    assert result.believed == 3
    assert 0.5 < result.alpha["voice"] < 1
    assert list(result.strengths["voice"]) == ["writer", "mixed", "direct", "base"]
    assert result.turing["mixed"].share.value == pytest.approx(0.1, abs=0.08)
    for found in result.turing.values():
        assert found.share.low <= found.share.value <= found.share.high


def test_a_coin_that_passes_the_checks_is_known_by_the_others(key: Key) -> None:
    def good() -> dict[str, Choice]:
        return {name: mostly(perfect, coin(seed), 0.9, seed) for seed, name in enumerate("AB")}

    result = read(key, {**good(), "C": mostly(coin(7), coin(7), 1, 7)})
    flags = {reader.name: reader.flagged for reader in result.readers}
    assert (flags["A"], flags["B"]) == ("", "")
    assert flags["C"].endswith("as a coin might")
    assert result.turing == read(key, good()).turing


def test_readers_who_do_not_agree_give_no_ranks(key: Key) -> None:
    result = read(key, {name: mostly(coin(seed), coin(seed), 1, seed) for seed, name in enumerate("ABC")})
    assert result.believed == 3  # nobody agrees, so nobody stands out
    assert result.alpha["voice"] < 0.2 and result.strengths == {}
    assert result.no_ranks["voice"].startswith("no agreement: alpha is ")
    assert "Sounds like the writer: no ranks, no agreement" in summary_markdown(result, names=False)
    assert result.turing["mixed"].share.value == pytest.approx(0.5, abs=0.2)


def test_independent_votes_have_wilsons_interval() -> None:
    chance = random.Random(3)
    votes = [_vote(str(reader), trial, chance.random() < 0.75) for reader in range(10) for trial in range(40)]
    found = sum_up("0" * 12, 40, votes).pairs["direct beside mixed"]
    low, high = wilson(found.share.value, 400)
    assert found.share.high - found.share.low == pytest.approx(high - low, rel=0.35)
    assert found.needed == 0


def test_readers_of_two_minds_widen_the_interval() -> None:
    """Of ten readers seven always choose one arm, and three the other: that is ten opinions, not four hundred."""
    votes = [_vote(str(reader), trial, reader < 7) for reader in range(10) for trial in range(40)]
    found = sum_up("0" * 12, 40, votes).pairs["direct beside mixed"]
    low, high = wilson(0.7, 10)
    assert found.share.high - found.share.low == pytest.approx(high - low, rel=0.25)
    assert found.needed is not None and found.needed > 1_000


def test_wilsons_interval() -> None:
    assert wilson(0.0, 20) == pytest.approx((0, 0.161), abs=1e-3)
    assert wilson(0.5, 100) == pytest.approx((0.404, 0.596), abs=1e-3)


def test_strengths_are_bradley_and_terrys() -> None:
    """Two arms, thirty of forty for one, and a tie put in beforehand: odds of 30.5 to 10.5, and the geometric mean is 1."""
    ballots = [_vote(reader, trial, trial % 4 > 0) for reader in "ab" for trial in range(20)]
    found = sum_up("0" * 12, 20, ballots).strengths["voice"]
    strength = sqrt(30.5 / 10.5)
    assert found["direct"].value == pytest.approx(strength / (1 + strength), abs=1e-4)
    assert found["direct"].value + found["mixed"].value == pytest.approx(1, abs=1e-4)


def test_the_summary_names_readers_only_where_asked(key: Key) -> None:
    result = read(key, {"Ann Reader": perfect, "Ben Reader": coin(1)})
    with_names, without = (summary_markdown(result, names=names) for names in (True, False))
    assert "| Ann Reader | 120 of 120 | 12 of 12 | 0 % | yes |" in with_names
    assert "Ben Reader | 120 of 120" in with_names and "| no: took the untrained base" in with_names
    assert "Reader" not in without and "Left out: a reader who took the untrained base for the writer" in without
    assert headline(result, "mixed") == f"0 % [0 %, 16 %] of 20 times taken for the writer by 1 reader (panel {key.panel})"


def _vote(reader: str, trial: int, direct: bool) -> Ballot:
    sides = ("direct", "mixed") if trial % 2 else ("mixed", "direct")
    return Ballot(reader, str(trial), trial, "arms", sides, sides.index("direct" if direct else "mixed"), 0.5)

    """Nobody more: a place for ballots that belong to all cases."""
    return []
