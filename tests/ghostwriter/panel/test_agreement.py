"""Alpha, against an example that Krippendorff computed by hand."""

import pytest

from ghostwriter.panel.agreement import agreement
from ghostwriter.panel.ballot import Ballot

MEG, OWEN = (0, 1, 0, 0, 0, 0, 0, 0, 1, 0), (1, 1, 1, 0, 0, 1, 0, 0, 0, 0)
"""K. Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section A: two observers, ten articles."""


def ballot(reader: str, trial: int, voice: int, quality: float = 0.5, kind: str = "arms") -> Ballot:
    return Ballot(reader, str(trial), trial, kind, ("direct", "mixed"), voice, quality)  # type: ignore[arg-type]


def test_alpha_of_krippendorffs_own_example() -> None:
    ballots = [ballot(name, trial, said) for name, votes in (("Meg", MEG), ("Owen", OWEN)) for trial, said in enumerate(votes)]
    assert agreement(ballots, "voice") == pytest.approx(0.095, abs=0.0005)


def test_a_tie_is_nearer_to_either_side_than_they_are_to_each_other() -> None:
    def of(second: tuple[float, ...]) -> float:
        said = ((0.0, 1.0, 0.0, 1.0), second)
        found = agreement(
            [ballot(str(name), trial, 0, value) for name, row in enumerate(said) for trial, value in enumerate(row)], "quality"
        )
        assert found is not None
        return found

    assert of((0.0, 1.0, 0.0, 1.0)) == 1
    assert of((0.0, 1.0, 0.0, 0.5)) > of((0.0, 1.0, 0.0, 0.0))


def test_attention_checks_do_not_count() -> None:
    checks = [ballot(name, trial, 0, kind="check") for name in "ab" for trial in range(10)]
    assert agreement(checks, "voice") is None


def test_one_reader_agrees_with_nobody() -> None:
    assert agreement([ballot("a", trial, trial % 2) for trial in range(10)], "voice") is None
    assert agreement([], "voice") is None
