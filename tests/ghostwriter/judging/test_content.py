"""What verdicts add up to, and that a judge is believed only as far as it is right where the answer is known."""

import pytest

from ghostwriter.judging.content import Compared, Content, Verdicts, agreement_pairs, read_verdict, sum_up

ROWS = [(f"id{index}", f"question {index}?", f"Answer number {index} is long enough. It goes on for a while.") for index in range(12)]
PAIRS = [Compared(f"p{index}", "why?", "mine", "theirs") for index in range(4)]
KNOWN = [Compared(f"k{index}", "why?", "good", "bad") for index in range(5)]
RIGHT: Verdicts = {(pair.id, order): ("first", "second")[order] for pair in KNOWN for order in (0, 1)}


def summed(verdicts: Verdicts, least: float = 0.8) -> Content:
    return sum_up(PAIRS, KNOWN, verdicts, least, model="m", rival="base", spent="0")


def both(pair: str, first: str, second: str) -> Verdicts:
    return {(pair, 0): first, (pair, 1): second}


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("A is thin, B wanders.\nVerdict: A", "first"),
        ("verdict: **B**.", "second"),
        ("Verdict: tie", "tie"),
        ("Verdict: A would be hasty.\nVerdict: B", "second"),
        ("甲好乙差。\n结论：A", "first"),
        ("结论：平手", "tie"),
        ("Both are fine.", None),
        ("Verdict: Answer A", None),
        ("", None),
    ],
)
def test_a_verdict_is_read_off_the_last_line_that_states_one(reply: str, verdict: str | None) -> None:
    assert read_verdict(reply) == verdict


def test_wins_ties_and_losses_count_one_half_and_nothing() -> None:
    verdicts = {
        **RIGHT,
        **both("p0", "first", "second"),
        **both("p1", "second", "first"),
        **both("p2", "tie", "tie"),
        **both("p3", "first", "first"),
    }
    content = summed(verdicts)
    assert (content.wins, content.ties, content.losses, content.order_dependent) == (1, 2, 1, 1)
    assert content.preferred
    assert (content.preferred.value, content.preferred.questions) == (0.5, 4)
    assert content.agreement == 1.0


def test_a_question_with_a_failed_call_is_left_out_and_counted_never_scored() -> None:
    won = {place: verdict for name in ("p0", "p1", "p2") for place, verdict in both(name, "first", "second").items()}
    content = summed({**RIGHT, **won, **both("p3", "timeout", "first")})
    assert content.preferred
    assert (content.preferred.value, content.preferred.questions) == (1.0, 3)
    assert content.excluded == {"timeout": 1}
    assert content.losses == 0


def test_a_judge_that_always_takes_the_first_answer_is_not_believed() -> None:
    verdicts = {(pair.id, order): "first" for pair in [*PAIRS, *KNOWN] for order in (0, 1)}
    content = summed(verdicts)
    assert content.preferred is None
    assert content.agreement == 0.5
    assert content.withheld == "the judge agrees with only 50% of the pairs whose better answer is known, 80% are needed"


def test_a_judge_that_was_read_on_too_few_questions_is_withheld() -> None:
    failed = {place: verdict for pair in PAIRS[:3] for place, verdict in both(pair.id, "timeout", "timeout").items()}
    content = summed({**RIGHT, **failed, **both("p3", "first", "second")})
    assert content.withheld == "the judge gave two verdicts that can be read on only 1 of 4 questions"


def test_agreement_pairs_hold_the_writers_answer_and_one_that_is_worse_for_certain() -> None:
    pairs = agreement_pairs(ROWS, 6, seed=0)
    assert len(pairs) == 6
    answers = {f"agreement-{name}": answer for name, _, answer in ROWS}
    assert [pair.better for pair in pairs] == [answers[pair.id] for pair in pairs]
    other, shuffled, looping = pairs[:3]
    assert other.other in set(answers.values()) - {other.better}
    assert sorted(shuffled.other.split()) == sorted(shuffled.better.split())
    assert looping.other == " ".join([looping.better[:20]] * 8)


def test_words_without_spaces_are_shuffled_by_their_characters() -> None:
    rows = [(f"id{index}", "为什么？", f"因为山里的雪化得晚第{index}年也一样，路上没有人，只有一条狗。") for index in range(6)]
    shuffled = agreement_pairs(rows, 2, seed=0)[1]
    assert sorted(shuffled.other) == sorted(shuffled.better)


def test_a_corpus_that_grows_keeps_most_agreement_pairs() -> None:
    before = {(pair.id, pair.better) for pair in agreement_pairs(ROWS, 6, seed=0)}
    more = [*ROWS, ("new", "new?", "A new answer, as long as the others are, more or less.")]
    assert len(before & {(pair.id, pair.better) for pair in agreement_pairs(more, 6, seed=0)}) >= 5
