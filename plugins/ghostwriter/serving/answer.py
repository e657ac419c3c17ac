"""What an engine says, passed on as it comes: under the version's name, with OpenAI's fields alone, and an error where it breaks off."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack
from urllib.parse import quote

import httpx2
from anyio import CancelScope
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ghostwriter.page.event_stream import data_of
from ghostwriter.serving.asked import Asked, Json
from ghostwriter.serving.engine import problem_of
from ghostwriter.serving.level import Facts
from ghostwriter.serving.problem import Problem

DONE = "[DONE]"


class Bound(StreamingResponse):
    """Events of one version; what it holds is let go when the last is sent, or whoever asked is gone, however early."""

    def __init__(self, events: AsyncIterator[str], facts: Facts, asked: Asked, held: ExitStack) -> None:
        headers = {**headers_of(facts, asked), "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._held:
            await super().__call__(scope, receive, send)


async def events(upstream: httpx2.Response, facts: Facts, asked: Asked) -> AsyncIterator[str]:
    """The engine's events under the version's name. The last is `[DONE]`, or an error."""
    answer = uuid.uuid4().hex
    try:
        async for content in data_of(upstream):
            if content == DONE:
                yield _event(DONE)
                return
            chunk = json.loads(content)
            if "error" in chunk:
                yield _event(problem_of(502, chunk).body)
                return
            if chunk.get("choices") or asked.wants_usage:
                yield _event(named(chunk, facts, answer))
        yield _event(_ended(facts).body)
    except (httpx2.HTTPError, ValueError):
        yield _event(_ended(facts).body)
    finally:
        await close(upstream)


async def close(upstream: httpx2.Response) -> None:
    """Let the engine know that nobody listens any more, also when that is why this is being cancelled."""
    with CancelScope(shield=True):
        await upstream.aclose()


def _ended(facts: Facts) -> Problem:
    return Problem(502, "engine_failed", f"The engine of {facts.name} ended in the middle of this answer. Ask again.")


def _event(content: Json | str) -> str:
    """In ASCII: there are clients whose lines end at any mark that Unicode calls a line's end."""
    return f"data: {content if isinstance(content, str) else json.dumps(content)}\n\n"


def named(found: Json, facts: Facts, answer: str) -> Json:
    """An engine's answer, or a part of one, under the version's name, with OpenAI's fields alone."""
    kept: Json = {name: found[name] for name in ("object", "created", "choices", "usage") if name in found}
    return {"id": f"chatcmpl-{answer}", "model": facts.name, "system_fingerprint": facts.digest[:16], **kept}


def headers_of(facts: Facts, asked: Asked) -> dict[str, str]:
    """What an answer says of who gave it."""
    return {
        "X-Ghostwriter-Version": facts.number,
        "X-Ghostwriter-Digest": quote(facts.digest, safe="/:@"),
        "X-Ghostwriter-Seed": str(asked.seed),
    }
