"""What each answer and each fault of a teacher means, over real HTTP."""

import asyncio
import json

import pytest
from pydantic import SecretStr

from ghostwriter.errors import ConnectionMissing
from ghostwriter.teacher.budget import Usage
from ghostwriter.teacher.client import (
    CallFault,
    Endpoint,
    Reply,
    Teacher,
    TeacherKeyRefused,
    TeacherModelUnknown,
    TeacherQuotaUsed,
    read_reply,
)
from tests.distill_case import endpoint
from tests.teacher_server import KEY, MODEL, TeacherScript, TeacherServer

HELLO = [{"role": "user", "content": "Hello?"}]


def ask(server: TeacherServer, *, key: str = KEY, model: str = MODEL, timeout: float = 5.0) -> Reply:
    async def once() -> Reply:
        async with Teacher(endpoint(server, key), {"model": model, "max_tokens": 50}, timeout_seconds=timeout, concurrency=1) as teacher:
            return await teacher.ask(HELLO)  # type: ignore[arg-type]

    return asyncio.run(once())


def test_an_answer_comes_with_its_usage() -> None:
    with TeacherServer(TeacherScript(answer=lambda messages: "Light the lamp.")) as server:
        assert ask(server) == Reply("Light the lamp.", "stop", Usage(prompt=9, cached=0, completion=4))
        assert server.prompts == [HELLO]


@pytest.mark.parametrize(
    ("fault", "code", "perhaps_paid", "again"),
    [
        ("500", "server_error", True, True),
        ("502", "server_error", True, True),
        ("503", "server_error", False, True),
        ("504", "server_error", True, True),
        ("524", "server_error", True, True),
        ("408", "server_error", True, True),
        ("400", "bad_request", False, False),
        ("429", "rate_limit", False, True),
        ("malformed", "malformed", True, True),
        ("html", "malformed", True, True),
        ("drop", "connection_lost", True, True),
        ("hang", "timeout", True, True),
    ],
)
def test_a_fault_is_named_and_says_whether_it_may_be_paid(fault: str, code: str, perhaps_paid: bool, again: bool) -> None:
    with TeacherServer(TeacherScript(fault=lambda number: fault)) as server, pytest.raises(CallFault) as caught:
        ask(server, timeout=0.5)
    assert (caught.value.code, caught.value.perhaps_paid, caught.value.again) == (code, perhaps_paid, again)
    assert caught.value.ends_run is None


def test_a_wrong_key_ends_the_run() -> None:
    with TeacherServer() as server, pytest.raises(CallFault) as caught:
        ask(server, key="sk-wrong-key")
    assert caught.value.ends_run is TeacherKeyRefused


def test_an_unknown_model_ends_the_run() -> None:
    with TeacherServer() as server, pytest.raises(CallFault, match="The model `gpt-none` does not exist") as caught:
        ask(server, model="gpt-none")
    assert caught.value.ends_run is TeacherModelUnknown


def test_an_empty_account_ends_the_run_though_its_status_is_429() -> None:
    with TeacherServer(TeacherScript(fault=lambda number: "quota")) as server, pytest.raises(CallFault) as caught:
        ask(server)
    assert caught.value.ends_run is TeacherQuotaUsed


def test_a_prompt_longer_than_the_context_fails_alone() -> None:
    with TeacherServer(TeacherScript(context_tokens=40)) as server, pytest.raises(CallFault) as caught:
        ask(server)
    assert (caught.value.code, caught.value.again, caught.value.ends_run) == ("context_too_long", False, None)


def test_a_teacher_that_is_not_there_costs_nothing() -> None:
    with TeacherServer() as server:
        pass
    with pytest.raises(CallFault) as caught:
        ask(server)
    assert (caught.value.code, caught.value.perhaps_paid, caught.value.again) == ("unreachable", False, True)


def test_the_time_to_wait_is_read_from_retry_after() -> None:
    for header, seconds in (("7", 7.0), ("0.5", 0.5), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 -0000", 0.0)):
        script = TeacherScript(answers_per_second=0.001, retry_after=header)
        with TeacherServer(script) as server:
            ask(server)
            with pytest.raises(CallFault) as caught:
                ask(server)
        assert caught.value.retry_after == seconds


def test_the_key_is_blotted_out_of_what_a_server_echoes() -> None:
    for status in ("400", "401", "429", "500"):
        script = TeacherScript(fault=lambda number, status=status: status, echo_key=True)  # type: ignore[misc]
        with TeacherServer(script) as server, pytest.raises(CallFault) as caught:
            ask(server)
        assert KEY not in str(caught.value)
        assert "You sent Bearer [key]" in str(caught.value)


def test_an_answer_without_a_choice_is_an_empty_one() -> None:
    body = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 0}}
    assert read_reply(json.dumps(body).encode()) == Reply("", "no_choice", Usage(5, 0, 0))


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b'{"error": {"message": "busy"}}', b'{"choices": [{"text": "x"}]}', b"\xff", b"[" * 99_999]
)
def test_a_body_that_is_no_completion_is_malformed(body: bytes) -> None:
    with pytest.raises(CallFault, match="malformed"):
        read_reply(body)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 4}}, Usage(10, 4, 3)),
        ({"prompt_tokens": 10, "completion_tokens": 3, "prompt_cache_hit_tokens": 6}, Usage(10, 6, 3)),
        ({"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": None}, Usage(10, 0, 3)),
        ({"total_tokens": 3}, None),
        ({"prompt_tokens": -10, "completion_tokens": 3}, None),
        ({"prompt_tokens": 10**30, "completion_tokens": 3}, None),
        ({"prompt_tokens": "many", "completion_tokens": 3}, None),
        ({"prompt_tokens": 10, "completion_tokens": 3, "prompt_tokens_details": [4]}, None),
        (None, None),
    ],
)
def test_cached_tokens_are_read_as_each_vendor_names_them(usage: object, expected: Usage | None) -> None:
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    assert read_reply(json.dumps(body).encode()).usage == expected


def test_an_answer_may_come_in_parts_and_loses_what_no_database_keeps() -> None:
    body = b'{"choices": [{"message": {"content": [{"text": "half \\ud83d, "}, {"text": "zero\\u0000."}]}, "finish_reason": "stop"}]}'
    assert read_reply(body) == Reply("half ?, zero.", "stop", None)


@pytest.mark.parametrize("key", ["", " ", "sk two words", "sk-caf\u00e9", "sk-one\nsk-two"])
def test_a_key_that_cannot_be_sent_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ConnectionMissing, match="holds a space, a line break or a letter outside ASCII") as caught:
        Endpoint(base_url="http://127.0.0.1/v1", key=SecretStr(key))
    assert not key.strip() or key not in str(caught.value)


def test_a_line_break_after_the_key_is_none_of_it() -> None:
    with TeacherServer() as server:
        assert ask(server, key=f"{KEY}\n").finish_reason == "stop"


@pytest.mark.parametrize("address", ["", "api.example.com/v1", "ftp://api.example.com", "https://"])
def test_an_address_without_a_scheme_or_host_is_refused(address: str) -> None:
    with pytest.raises(ConnectionMissing, match="is no teacher's address"):
        Endpoint(base_url=address, key=SecretStr(KEY))
