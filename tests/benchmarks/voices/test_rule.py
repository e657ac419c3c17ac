import numpy as np
import pytest

from benchmarks.voices.jobs import all_jobs
from benchmarks.voices.rule import goal, guards, over_seeds, visible_difference
from benchmarks.voices.run import swapped
from training.bootstrap import Measured, estimate, mean, ratio

QUESTIONS = 160


def scores(value: float, spread: float = 0.3, seed: int = 0) -> Measured:
    noise = np.random.default_rng(seed).normal(0, spread, QUESTIONS)
    return mean(value + noise - noise.mean())


@pytest.mark.parametrize(
    ("value", "verdict"), [(0.80, "reached"), (0.50, "missed"), (0.62, "undecided"), (0.60, "undecided")], ids=str
)  # distilled 0.5, the writer 1: a quarter of the gap is 0.125
def test_the_goal_is_a_quarter_of_the_gap_by_the_whole_interval(value: float, verdict: str) -> None:
    found = goal("style", scores(value, seed=1), scores(0.5, seed=2), scores(1.0, spread=0.1, seed=3))

    assert found.verdict == verdict
    assert found.wanted == pytest.approx(0.125)
    assert found.gain.value == pytest.approx(value - 0.5)


def test_where_distilled_is_as_near_as_the_writer_there_is_no_gap_to_close() -> None:
    assert goal("style", scores(1.2, seed=1), scores(1.06, seed=2), scores(1.0, spread=0.1, seed=3)).verdict == "no gap"


def test_the_smallest_visible_difference_is_that_of_the_docs() -> None:
    """A spread of 0.5 between paired answers, and 163 questions: 0.11."""
    spread = np.resize([0.5, -0.5], 163)

    assert visible_difference(mean(spread), mean(np.zeros(163))) == pytest.approx(0.11, abs=0.001)


def test_seeds_are_averaged_before_questions() -> None:
    first, second = ratio([2.0, 0.0], [10.0, 30.0]), ratio([4.0, 8.0], [10.0, 10.0])

    joined = over_seeds([{"loss": first}, {"loss": second, "only here": second}])

    assert list(joined) == ["loss"]
    assert estimate(joined["loss"]).value == pytest.approx((3 + 4) / (10 + 20))
    assert estimate(joined["loss"]).questions == 2


def test_a_guard_fails_only_for_certain() -> None:
    def voice(rep4: float, spread: float, ability: float) -> dict[str, Measured]:
        steady = scores(0.0, 0.001)
        return {"rep4": scores(rep4, spread), "verbatim_share": steady, "unfinished_share": steady, "ability": scores(ability, 0.1, 4)}

    writer, distilled = voice(0.0, 0.001, 0.5), voice(0.02, 0.01, 0.5)

    assert guards(voice(0.10, 0.01, 0.5), distilled, writer)["rep4"] == "fails"
    assert guards(voice(0.06, 0.30, 0.5), distilled, writer)["rep4"] == "open"
    assert set(guards(voice(0.02, 0.01, 0.45), distilled, writer).values()) == {"holds"}
    assert guards(voice(0.02, 0.01, 0.30), distilled, writer)["ability"] == "fails"


def test_swapped_pairs_leave_out_answers_that_came_to_no_end() -> None:
    pair = '{"prompt": ["p"], "chosen": ["hers"], "rejected": ["own"], "rejected_ends": %s}'

    (row,) = swapped([pair % "true", pair % "false"])

    assert row == '{"prompt": ["p"], "chosen": ["own"], "rejected": ["hers"]}\n'


def test_no_two_voices_have_one_name_and_no_two_trainings_one_folder() -> None:
    jobs = all_jobs()
    trainings = {job.training for job in jobs if job.training}

    assert len({(job.voice, job.seed) for job in jobs}) == len(jobs)
    assert len({training.folder for training in trainings}) == len(trainings)
    assert [job.seed for job in jobs[: len(jobs) // 5]] == [0] * (len(jobs) // 5)
