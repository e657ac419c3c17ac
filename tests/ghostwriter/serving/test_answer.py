"""What an engine says is passed on as it comes, whatever a model writes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from ghostwriter.serving.answer import events
from ghostwriter.serving.asked import Asked, Which
from ghostwriter.serving.level import Facts

FACTS = Facts("odessa", "7", "a" * 64, "tiny", None, 0)
ASKED = Asked(Which("odessa", "champion"), ({"role": "user", "content": "Why?"},), {}, 1, True, False)
WRITTEN = "One line,\u2028another,\u0085a third, 灯塔, <b>\n"


def passed_on(*chunks: bytes) -> list[str]:
    """The events that come of an engine's bytes."""

    async def said() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    async def read() -> list[str]:
        return [event async for event in events(httpx2.Response(200, content=said()), FACTS, ASKED)]

    return asyncio.run(read())


def piece(text: str) -> bytes:
    chunk = {"choices": [{"index": 0, "delta": {"content": text}}], "model": "version", "timings": {"prompt_ms": 1}}
    return f"data: {json.dumps(chunk, ensure_ascii=False)}\n\n".encode()


def test_every_end_of_a_line_that_unicode_knows_is_text() -> None:
    sent = piece(WRITTEN)
    *told, done = passed_on(sent[:70], sent[70:], b"data: [DONE]\n\n")
    assert done == "data: [DONE]\n\n"
    assert [len(event.splitlines()) for event in told] == [2], "a client's own lines end there too"
    found: dict[str, Any] = json.loads(told[0].removeprefix("data: "))
    assert (found["choices"][0]["delta"]["content"], found["model"]) == (WRITTEN, "odessa@v7")
    assert "timings" not in found


def test_a_stream_that_ends_before_its_end_says_so() -> None:
    _, last = passed_on(piece("One"))
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_failed"
