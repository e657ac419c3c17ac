"""Examples rotate evenly, never show the question's own pair, and stay when the corpus grows."""

from itertools import islice

import pytest

from ghostwriter.distilling.corpus import Corpus
from ghostwriter.distilling.sampling import Rotation, uses, walk
from ghostwriter.errors import CorpusTooSmall
from ghostwriter.pairs import Pair, Question
from tests.distill_case import pairs

PAIRS = [Pair(row["id"], row["question_id"], row["question"], row["text"]) for row in pairs(100)]
QUESTIONS = [Question(pair.question_id, pair.question) for pair in PAIRS]


def corpus(training: list[Pair]) -> Corpus:
    return Corpus(tuple(training), (), ())


def chosen(rotation: Rotation, number: int, questions: list[Question] = QUESTIONS) -> dict[tuple[str, int], tuple[Pair, ...]]:
    return {(question.id, sample): rotation.choose(question, sample) for question, sample in islice(walk(questions, 0), number)}


@pytest.mark.parametrize("number", [100, 470, 1000])
def test_each_pair_is_shown_within_a_fifth_of_equally_often(number: int) -> None:
    counts = uses(chosen(Rotation(corpus(PAIRS), 3, seed=7), number).values())
    mean = 3 * number / len(PAIRS)
    assert set(counts) == {pair.id for pair in PAIRS}
    assert min(counts.values()) >= 0.8 * mean
    assert max(counts.values()) <= 1.2 * mean


def test_a_prompt_never_shows_its_own_question_nor_a_pair_twice() -> None:
    for (question, _), examples in chosen(Rotation(corpus(PAIRS), 3, seed=0), 500).items():
        assert question not in {pair.question_id for pair in examples}
        assert len({pair.id for pair in examples}) == 3


def test_a_near_duplicate_of_the_question_is_never_shown() -> None:
    twin = Pair("twin", "twin", PAIRS[0].question.replace("?", " then?"), "Another answer.")
    examples = chosen(Rotation(corpus([*PAIRS, twin]), 3, seed=0), 505, [QUESTIONS[0]] * 5)
    assert all("twin" not in {pair.id for pair in shown} for shown in examples.values())


def test_a_pair_whose_answer_nearly_repeats_the_real_answer_is_never_shown_for_that_question() -> None:
    twin = Pair("twin", "twin", "Where do the gulls of this harbour sleep at night?", PAIRS[0].answer + " And so on.")
    examples = chosen(Rotation(corpus([*PAIRS, twin]), 3, seed=0), 303, [QUESTIONS[0], QUESTIONS[1]] * 2)
    shown = {
        question: {pair.id for (asked, _), pairs in examples.items() for pair in pairs if asked == question} for question in ("q0", "q1")
    }
    assert {"a0", "twin"} & shown["q0"] == set()
    assert "twin" in shown["q1"]


def test_a_question_like_another_does_not_show_the_others_answer_under_a_third_question() -> None:
    like = Pair("like", "like", PAIRS[0].question.replace("?", " then?"), "The gulls sleep on the wall of the old harbour, all of them.")
    third = Pair("third", "third", "What is it that the bells of this town ring for?", like.answer)
    assert corpus([*PAIRS, like, third]).lookalikes.of(QUESTIONS[0]) == {"a0", "like", "third"}


def test_the_same_seed_chooses_the_same_and_another_others() -> None:
    first, again, other = (chosen(Rotation(corpus(PAIRS), 3, seed=seed), 100) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_what_was_chosen_stays_when_a_pair_is_added() -> None:
    before = chosen(Rotation(corpus(PAIRS), 3, seed=0), 200)
    kept = {place: [pair.id for pair in examples] for place, examples in before.items()}
    added = Pair("new", "new", "Where do the gulls of this harbour sleep at night?", "On the wall.")
    after = chosen(Rotation(corpus([*PAIRS, added]), 3, 0, kept), 202, [*QUESTIONS, Question("new", added.question)])
    assert {place: after[place] for place in before} == before
    assert {place[0] for place in after if place not in before} == {"new"}


def test_a_choice_is_made_anew_when_one_of_its_pairs_is_gone() -> None:
    kept = {("q0", 0): ["a1", "a2", "gone"]}
    assert "gone" not in {pair.id for pair in Rotation(corpus(PAIRS), 3, 0, kept).choose(QUESTIONS[0], 0)}


def test_every_question_is_asked_once_before_any_is_asked_again() -> None:
    rounds = list(islice(walk(QUESTIONS, 0), 200))
    assert {question.id for question, sample in rounds[:100]} == {question.id for question in QUESTIONS}
    assert [sample for _, sample in rounds] == [0] * 100 + [1] * 100
    assert [question.id for question, _ in rounds[:100]] != [question.id for question, _ in rounds[100:]]


def test_too_few_pairs_that_differ_from_the_question_is_an_error() -> None:
    with pytest.raises(CorpusTooSmall, match="Only 2 of the writer's 3 pairs differ enough"):
        Rotation(corpus(PAIRS[:3]), 3, seed=0).choose(QUESTIONS[0], 0)
