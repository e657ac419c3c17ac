"""What a request says becomes what an engine is sent; what cannot be done is refused in OpenAI's form."""

from typing import Any

import pytest

from ghostwriter.serving.asked import Asked, Which, read_request, read_which
from ghostwriter.serving.problem import Problem
from training.contract import Answering

USER = {"role": "user", "content": "Why?"}


def asked(**fields: Any) -> Asked:
    body = {"model": "odessa", "messages": [USER], **fields}
    return read_request(body, lambda _writer: Answering(temperature=0.7, min_p=0.05), lambda _writer: 300)


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("odessa", "champion"),
        ("odessa@champion", "champion"),
        ("odessa@previous", "previous"),
        ("odessa@base", "base"),
        ("odessa@v07", "7"),
    ],
)
def test_a_name_is_taken_apart(name: str, version: str) -> None:
    assert read_which(name) == Which("odessa", version)


@pytest.mark.parametrize("name", ["odessa@7", "odessa@vx", "odessa@v", "odessa@v²", "odessa@newest"])
def test_another_name_is_no_model(name: str) -> None:
    with pytest.raises(Problem) as refused:
        read_which(name)
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")
    assert refused.value.body["error"]["type"] == "not_found_error"


def test_what_is_left_out_is_as_the_version_was_judged() -> None:
    found = asked()
    assert {name: found.sampling[name] for name in ("temperature", "min_p", "top_p", "top_k", "max_tokens")} == {
        "temperature": 0.7,
        "min_p": 0.05,
        "top_p": 1.0,
        "top_k": 0,
        "max_tokens": 300,
    }
    assert found.sampling["seed"] == found.seed
    assert asked().seed != found.seed  # else /retry would give the same answer


def test_what_is_said_is_passed_on() -> None:
    found = asked(temperature=0, seed=7, max_completion_tokens=9, stop="\n", logprobs=True, top_logprobs=2, stream=True)
    assert (found.seed, found.is_stream) == (7, True)
    assert {name: found.sampling[name] for name in ("temperature", "seed", "max_tokens", "stop", "logprobs", "top_logprobs")} == {
        "temperature": 0.0,
        "seed": 7,
        "max_tokens": 9,
        "stop": ["\n"],
        "logprobs": True,
        "top_logprobs": 2,
    }


def test_parts_of_text_are_one_message() -> None:
    parts = [{"type": "text", "text": "Why"}, {"type": "text", "text": "?"}]
    assert asked(messages=[{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]).messages == (
        {"role": "system", "content": "Be brief."},
        USER,
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages"),
        ({"messages": [USER, {"role": "assistant", "content": "So."}]}, "messages"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"max_tokens": True}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a"] * 5}, "stop"),
        ({"stream": 1}, "stream"),
        ({"n": 2}, "n"),
        ({"tools": [{}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_cannot_be_done_is_refused(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(Problem) as refused:
        asked(**fields)
    assert (refused.value.status, refused.value.body["error"]["param"]) == (400, param)
