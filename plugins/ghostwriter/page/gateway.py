"""One answer of the serving gateway as it is written, over HTTP; and whether there is a gateway at all.

What the gateway says about a version (headers, the chunks' ids, models and times) ends here: only the
words go on, and `version` and `digest` beside them.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx2

from ghostwriter.addresses import serving_url
from ghostwriter.errors import HomeError
from ghostwriter.home import Home, read_serving_key
from ghostwriter.page.event_stream import data_of
from ghostwriter.votes.comparison import Message, Sampling, storable

CONNECT_SECONDS, SILENT_SECONDS = 2.0, 120.0
"""To connect, and between two pieces of an answer: an engine that is started again takes half a minute."""
LOADING_SECONDS, LONGEST_PAUSE = 600.0, 5.0
"""For a version that is loaded because it was asked for, and between two questions whether it is."""
PATIENT = (b'"model_loading"', b'"model_unavailable"')
"""Refusals that pass by themselves, when they come with Retry-After."""
HOW_TO_START = "Start it: .venv/bin/python -m ghostwriter serve (make serve). Then ask again."


class GatewayError(Exception):
    """No answer, or not all of it; the message is for a person, `status` the HTTP status that fits."""

    def __init__(self, message: str, status: int = 502, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after


class NotRunning(GatewayError):
    """Nothing listens at the gateway's address."""


class Answer:
    """An answer that is being written: who writes it, and its pieces. Whoever asked for it closes it."""

    def __init__(self, client: httpx2.AsyncClient, response: httpx2.Response) -> None:
        self._client, self._response = client, response
        self.version = response.headers.get("X-Ghostwriter-Version", "unknown")
        self.digest = response.headers.get("X-Ghostwriter-Digest", "")
        self.finish_reason: str | None = None

    async def close(self) -> None:
        """Let go of the connection, which ends an answer that is not whole."""
        await self._response.aclose()
        await self._client.aclose()

    async def pieces(self) -> AsyncIterator[str]:
        """The words as they come. Raises GatewayError when the answer ends before its end."""
        try:
            async for data in data_of(self._response):
                if data == "[DONE]":
                    return
                if piece := self._piece(data):
                    yield piece
        except httpx2.HTTPError as error:
            raise GatewayError(f"The gateway went away in the middle of the answer ({type(error).__name__}).") from None
        if self.finish_reason is None:
            raise GatewayError("The answer ended in the middle. Ask again.")

    def _piece(self, data: str) -> str:
        try:
            event = json.loads(data)
            if "error" in event:
                raise GatewayError(_sentence(event))
            choice = (event.get("choices") or [{}])[0]
            self.finish_reason = choice.get("finish_reason") or self.finish_reason
            return storable((choice.get("delta") or {}).get("content") or "")
        except (ValueError, AttributeError, TypeError, LookupError):
            raise GatewayError("What the gateway sent is no chat completion. Is another program listening there?") from None


async def ask(model: str, messages: Sequence[Message], sampling: Sampling) -> Answer:
    """The answer, once it begins. Raises GatewayError. A version that must be loaded first is waited for."""
    request = {
        "model": model,
        "messages": [message.model_dump() for message in messages],
        "stream": True,
        **sampling.model_dump(),
    }
    client = _client(httpx2.Timeout(SILENT_SECONDS, connect=CONNECT_SECONDS))
    try:
        return Answer(client, await _loaded(client, request))
    except BaseException:
        await client.aclose()
        raise


def check_running() -> None:
    """Ask for the gateway's health. Raises NotRunning when nothing answers."""
    url = f"{serving_url().removesuffix('/v1')}/healthz"
    try:
        httpx2.get(url, timeout=CONNECT_SECONDS, trust_env=False)
    except httpx2.HTTPError as error:
        raise NotRunning(f"The gateway at {serving_url()} does not answer ({type(error).__name__}). {HOW_TO_START}", 503) from None


def _client(timeout: httpx2.Timeout) -> httpx2.AsyncClient:
    """A client that goes straight to the gateway: a proxy of the environment has no business between the two."""
    return httpx2.AsyncClient(base_url=serving_url() + "/", headers=_key(), timeout=timeout, trust_env=False)


def _key() -> dict[str, str]:
    try:
        key = read_serving_key(Home.default())
    except HomeError as error:
        raise GatewayError(str(error), 503) from None
    return {"Authorization": f"Bearer {key}"} if key else {}


async def _loaded(client: httpx2.AsyncClient, request: dict[str, Any]) -> httpx2.Response:
    """The response whose body is the answer; asked for again while the version is being loaded."""
    deadline = asyncio.get_running_loop().time() + LOADING_SECONDS
    while True:
        response = await _sent(client, request)
        if response.status_code == 200:
            return response
        body = await response.aread()
        await response.aclose()
        error = _refusal(response, body)
        if not _passes(error, body) or asyncio.get_running_loop().time() > deadline:
            raise error
        await asyncio.sleep(_pause(error.retry_after))


async def _sent(client: httpx2.AsyncClient, request: dict[str, Any]) -> httpx2.Response:
    try:
        return await client.send(client.build_request("POST", "chat/completions", json=request), stream=True)
    except httpx2.ConnectError:
        raise NotRunning(f"The gateway at {serving_url()} does not answer. {HOW_TO_START}", 503) from None
    except httpx2.HTTPError as error:
        raise GatewayError(f"The gateway at {serving_url()} gave no answer ({type(error).__name__}). Ask again.", 504) from None


def _refusal(response: httpx2.Response, body: bytes) -> GatewayError:
    """A refusal in the gateway's words; of its key, in ours, since a caller must not be sent to the login."""
    retry_after = response.headers.get("Retry-After")
    if response.status_code == 401:
        return GatewayError(f"The gateway refused the key in {Home.default().serving_key}: it was made with another one.")
    status = response.status_code if response.status_code in (400, 404, 413, 429, 503) else 502
    try:
        return GatewayError(_sentence(json.loads(body)), status, retry_after)
    except ValueError:
        return GatewayError(f"What answers at {serving_url()} is no gateway (status {response.status_code}).")


def _passes(error: GatewayError, body: bytes) -> bool:
    """Whether to wait: the version is being loaded, or its engine started again."""
    return error.retry_after is not None and any(code in body for code in PATIENT)


def _pause(retry_after: str | None) -> float:
    """Seconds until the next question."""
    try:
        return min(LONGEST_PAUSE, max(0.1, float(retry_after or 1)))
    except ValueError:
        return 1.0


def _sentence(body: Any) -> str:
    """The words of an error in OpenAI's form."""
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("message") if isinstance(error, dict) else error or body)[:500]
