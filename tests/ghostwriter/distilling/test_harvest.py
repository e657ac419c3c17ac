"""Planned calls end as accepted, rejected or failed, and the sum is checked."""

from decimal import Decimal
from pathlib import Path

import pytest

from ghostwriter.distilling.corpus import read_corpus
from ghostwriter.distilling.harvest import Counts, CountsDiffer, Harvest
from ghostwriter.home import Home
from ghostwriter.pairs import Question
from ghostwriter.teacher.call import Call
from ghostwriter.teacher.health import Failure
from ghostwriter.teacher.ledger import Answer
from tests.distill_case import answers_of, make_writer, pairs
from tests.teacher_server import invent


def call(number: int) -> Call:
    return Call(f"key{number}", Question(f"q{number}", "Why?"), 0, ())


def answer(number: int, text: str) -> Answer:
    return Answer(f"key{number}", text, "stop", None, Decimal(1))


def words(seed: int) -> str:
    return invent([{"role": "user", "content": str(seed)}])


@pytest.fixture
def harvest(tmp_path: Path) -> Harvest:
    return Harvest(read_corpus(make_writer(), answers_of(Home(tmp_path), pairs(60)), Home(tmp_path)), "en")


def test_every_planned_call_is_counted_once(harvest: Harvest) -> None:
    calls = [call(number) for number in range(4)]
    harvest.deliver(calls[3], answer(3, words(0)))
    harvest.deliver(calls[1], Failure("timeout", "no answer"))
    harvest.deliver(calls[2], answer(2, "As an AI, I have no opinion. " + words(2)))
    harvest.deliver(calls[0], answer(0, words(0) + " Truly."))
    harvest.settle(calls)
    assert harvest.counts() == Counts(planned=4, accepted=1, rejected={"refusal": 1, "near_duplicate": 1}, failed={"timeout": 1})


def test_of_near_duplicates_the_first_of_the_plan_stays_whichever_came_first(harvest: Harvest) -> None:
    calls = [call(0), call(1)]
    harvest.deliver(calls[1], answer(1, words(0)))
    harvest.deliver(calls[0], answer(0, words(0)))
    harvest.settle(calls)
    assert [accepted.call.key for accepted in harvest.accepted] == ["key0"]


def test_counts_that_do_not_add_up_are_an_error() -> None:
    with pytest.raises(CountsDiffer, match="10 calls were planned, but 6 accepted \\+ 2 rejected \\+ 1 failed = 9"):
        Counts(planned=10, accepted=6, rejected={"copy": 2}, failed={"timeout": 1}).check()
