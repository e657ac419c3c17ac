"""The ledger: requests have names, sends have ends, money is exact."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.teacher.budget import Message, Usage
from ghostwriter.teacher.ledger import Answer, Ledger, Spending, now, request_key

HELLO: list[Message] = [{"role": "user", "content": "Hello?"}]


@pytest.fixture
def engine(either_database: Home) -> Iterator[Engine]:
    engine = open_database(either_database.database_url)
    yield engine
    engine.dispose()


def send(name: str, state: str = "in_flight", worst: str = "0.5", cost: str | None = None, run: str = "run") -> dict[str, Any]:
    paid = None if cost is None else Decimal(cost)
    row = {"id": name, "key": f"key-{name}", "writer": "tester", "run": run, "state": state, "sent": now(), "fault": None, "batch": None}
    return {**row, "worst": Decimal(worst), "cost": paid}


def answer(key: str, question: str = "q", prompt: str = "p1", **changes: Any) -> dict[str, Any]:
    row = {"key": key, "writer": "tester", "question_id": question, "sample": 0, "model": "m", "prompt": prompt, "settings": "s"}
    text = {"examples": '["a", "b"]', "text": "Light it.", "finish_reason": "stop", "answered": now()}
    counts = {"prompt_tokens": 9, "cached_tokens": 2, "completion_tokens": 4, "cost": Decimal("0.1")}
    return {**row, **text, **counts, **changes}


def test_a_request_is_named_by_parameters_messages_and_sample() -> None:
    key = request_key({"model": "m", "temperature": 0.8}, HELLO, 0)
    assert key == request_key({"temperature": 0.8, "model": "m"}, HELLO, 0)
    others = [
        request_key({"model": "m", "temperature": 0.7}, HELLO, 0),
        request_key({"model": "n", "temperature": 0.8}, HELLO, 0),
        request_key({"model": "m", "temperature": 0.8}, [{"role": "user", "content": "Hello!"}], 0),
        request_key({"model": "m", "temperature": 0.8}, HELLO, 1),
    ]
    assert len({key, *others}) == 5


def test_an_answer_is_kept_with_its_usage_and_its_exact_cost(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    ledger.record([send("1")], [], [])
    ledger.record(
        [], [{"send": "1", "to": "paid", "paid": Decimal("0.0000000001"), "why": None}], [answer("k", cost=Decimal("0.0000000001"))]
    )
    assert ledger.answers(["k", "none"]) == {"k": Answer("k", "Light it.", "stop", Usage(9, 2, 4), Decimal("0.0000000001"))}
    assert ledger.known(["k", "none"]) == {"k"}
    assert ledger.spending("run") == Spending(paid=Decimal("0.0000000001"))


def test_a_transaction_is_all_or_nothing(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    ledger.record([send("1", "free")], [], [])
    with pytest.raises(IntegrityError):
        ledger.record([send("2")], [], [answer("k"), answer("l", text=None)])
    assert (ledger.spending("run"), ledger.known(["k"])) == (Spending(), set())


def test_an_answer_bought_by_two_at_once_is_kept_once_and_paid_for_twice(engine: Engine) -> None:
    for name in ("tester", "twin"):
        Ledger(engine, name).record([send(name, "paid", cost="0.1")], [], [answer("k", writer=name)])
    assert set(Ledger(engine, "tester").answers(["k"])) == {"k"}
    assert Ledger(engine, "tester").spending("run").paid == Decimal("0.2")


def test_a_questions_id_may_be_as_long_as_an_address(engine: Engine) -> None:
    ledger, name = Ledger(engine, "tester"), "https://example.org/" + "q" * 500
    ledger.keep_examples("r", {(name, 0): ("a",)})
    ledger.record([], [], [answer("k", question=name)])
    assert ledger.examples("r") == {(name, 0): ("a",)}


def test_spending_counts_what_nobody_knows_at_its_worst(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    rows = [
        send("1", "paid", cost="0.2"),
        send("2", "free"),
        send("3", "perhaps_paid"),
        send("4"),
        send("5", "paid", cost="9", run="other"),
    ]
    ledger.record(rows, [], [])
    assert ledger.spending("run") == Spending(paid=Decimal("0.2"), perhaps_paid=Decimal("1.0"), perhaps_paid_sends=2)
    assert ledger.spending("run").total == Decimal("1.2")


def test_what_was_in_flight_when_a_process_ended_becomes_perhaps_paid_once(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    ledger.record([send("1"), send("2", "free"), send("3", worst="0.25")], [], [])
    assert ledger.close_interrupted() == Spending(perhaps_paid=Decimal("0.75"), perhaps_paid_sends=2)
    assert ledger.close_interrupted() == Spending()
    assert ledger.spending("run").perhaps_paid == Decimal("0.75")


def test_another_writers_sends_are_left_alone(engine: Engine) -> None:
    Ledger(engine, "tester").record([send("1")], [], [])
    assert Ledger(engine, "other").close_interrupted() == Spending()


def test_more_keys_than_a_statement_may_hold_are_looked_up(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    ledger.record([], [], [answer(f"k{number}", question=f"q{number}") for number in range(1_200)])
    assert len(ledger.answers(f"k{number}" for number in range(1_300))) == 1_200


def test_the_latest_answer_says_what_a_question_was_asked_with(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    ledger.record([], [], [answer("k1", prompt="p1")])
    ledger.record([], [], [answer("k2", prompt="p2")])
    assert ledger.earlier(["q", "r"]) == {("q", 0): ("m", "p2", "s")}


def test_chosen_examples_are_kept_and_replaced(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    ledger.keep_examples("r", {("q", 0): ("a", "b"), ("q", 1): ("c", "d")})
    ledger.keep_examples("r", {("q", 1): ("e", "f")})
    assert ledger.examples("r") == {("q", 0): ("a", "b"), ("q", 1): ("e", "f")}
    assert ledger.examples("other") == {}


def test_history_holds_counted_answers_of_the_same_model_prompt_and_number_of_examples(engine: Engine) -> None:
    ledger = Ledger(engine, "tester")
    rows = [answer("1"), answer("2", model="n"), answer("3", prompt="p2"), answer("4", prompt_tokens=None), answer("5", examples='["a"]')]
    ledger.record([], [], rows)
    assert [row.key for row in ledger.history("m", "p1", 2)] == ["1"]
