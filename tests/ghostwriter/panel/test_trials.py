"""What is drawn: how many of each kind, which sides, and that nothing gives a side away."""

from collections import Counter

import pytest

from ghostwriter.panel.texts import RATIO, length
from ghostwriter.panel.trials import draw
from tests.panel_case import known, rows

ARMS = ["direct", "mixed"]


def test_a_third_is_against_the_writer_and_a_tenth_checks_attention() -> None:
    drawn = draw(rows(80), ARMS, known(), "en", 60, 0)
    assert Counter(trial.kind for trial in drawn.trials) == {"turing": 20, "check": 6, "arms": 34}
    turing = Counter(arm for trial in drawn.trials if trial.kind == "turing" for arm in trial.arms)
    assert turing == {"writer": 20, "direct": 10, "mixed": 10}


def test_each_question_is_asked_once_while_there_are_enough() -> None:
    drawn = draw(rows(60), ARMS, known(), "en", 60, 0)
    assert len({trial.question for trial in drawn.trials}) == len(drawn.trials) == 60


def test_a_text_of_the_writer_is_never_shown_twice() -> None:
    drawn = draw(rows(24), ARMS, known(), "en", 60, 0)
    shown = [trial.question for trial in drawn.trials if "writer" in trial.arms]
    assert len(shown) == len(set(shown)) == 24
    assert len({(trial.question, *sorted(trial.arms)) for trial in drawn.trials}) == len(drawn.trials)


@pytest.mark.parametrize("seed", range(5))
def test_sides_are_drawn_and_even(seed: int) -> None:
    drawn = draw(rows(80), ARMS, known(), "en", 60, seed)
    sides = Counter((trial.kind, trial.arms.index("writer")) for trial in drawn.trials if "writer" in trial.arms)
    assert sides == {("turing", 0): 10, ("turing", 1): 10, ("check", 0): 3, ("check", 1): 3}


def test_the_same_seed_draws_the_same_and_another_one_does_not() -> None:
    first, again, other = (draw(rows(40), ARMS, known(), "en", 30, seed).trials for seed in (1, 1, 2))
    assert first == again
    assert [trial.arms for trial in first] != [trial.arms for trial in other]


def test_lengths_are_alike_and_known_texts_are_none_of_those_asked_about() -> None:
    answers = rows(40)
    for place, row in enumerate(answers):
        row["mixed"] = " ".join([row["mixed"]] * (1 + place % 4))
    drawn = draw(answers, ARMS, known(), "en", 30, 0)
    for trial in drawn.trials:
        sizes = sorted(length(text, "en") for text in (trial.a, trial.b))
        assert 0 < sizes[1] < RATIO * sizes[0]
        assert trial.known in known() and trial.known not in (trial.a, trial.b)


def test_pairs_without_like_lengths_are_counted_and_left_out() -> None:
    answers = rows(12)
    for row in answers[:4]:
        row["mixed"] = ""
    drawn = draw(answers, ARMS, known(), "en", 60, 0)
    assert drawn.unmatched >= 4
    assert all(trial.a and trial.b for trial in drawn.trials)


def test_one_arm_alone_is_compared_with_the_writer() -> None:
    drawn = draw(rows(40), ["mixed"], known(), "en", 30, 0)
    assert Counter(trial.kind for trial in drawn.trials) == {"turing": 27, "check": 3}
