"""One call to the teacher: messages in, an answer with its token usage out, or a fault that says what it means for the run.

Any OpenAI-compatible endpoint. The client's own retries are off: each send is written into the ledger first, so each retry must be, too.

    TeacherError
    ├── TeacherKeyRefused     401 or 403: the key is wrong or may not use this model
    ├── TeacherModelUnknown   404, or a 400 that says so
    ├── TeacherQuotaUsed      the account has no credit left
    ├── TeacherDown           nothing but errors for `outage_seconds`; running again later can help
    └── TeacherUnfit          the calls worked, but too few of the answers can be used
"""

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import aiohttp
import httpx2
from openai import APIConnectionError, APIStatusError, AsyncOpenAI, DefaultAioHttpClient
from pydantic import BaseModel, ConfigDict, SecretStr, field_validator

from ghostwriter.addresses import is_link_local
from ghostwriter.errors import ConnectionMissing, TeacherError
from ghostwriter.teacher.budget import Message, Usage

CONNECT_SECONDS = 10.0
LONGEST_MESSAGE = 300
NOT_TAKEN = frozenset({409, 501, 503, 505, 521, 523, 529})
"""Statuses that say the request was not worked on: in conflict, not served, overloaded, or a gateway found nobody behind it.
Of 408 and every other 5xx nobody knows: a gateway's timeout usually means that the model worked on."""
MOST_TOKENS = 2**31 - 1
"""What the ledger's columns hold; a count beyond it is none."""
_CONTEXT = re.compile(
    r"context.{0,20}(length|window|size)|maximum context|too many tokens|prompt is too long|exceeds? the (available )?context",
    re.IGNORECASE,
)
_NO_MODEL = re.compile(
    r"model.{0,80}(not exist|not found|unknown|invalid|not supported|does not|mismatch|pinned)|(unknown|invalid|no such) model",
    re.IGNORECASE,
)


class TeacherKeyRefused(TeacherError):
    """The teacher does not accept the key."""

    code = "teacher_key"


class TeacherModelUnknown(TeacherError):
    """The teacher does not serve the model."""

    code = "teacher_model"


class TeacherQuotaUsed(TeacherError):
    """The teacher's account has no credit left."""

    code = "teacher_quota"


class TeacherDown(TeacherError):
    """The teacher gave nothing but errors for a long time."""

    code = "teacher_down"
    retryable = True


class TeacherUnfit(TeacherError):
    """Too few answers can be used, or too many calls failed."""

    code = "teacher_unfit"


class Endpoint(BaseModel):
    """Where the teacher is: base URL (ending in /v1, usually) and key, which is never shown.

    Raises ConnectionMissing for what cannot be sent.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    base_url: str
    key: SecretStr

    @field_validator("base_url")
    @classmethod
    def _address(cls, value: str) -> str:
        if not re.match(r"https?://[^/\s]", value.strip()):
            raise ConnectionMissing(f"{value!r} is no teacher's address. Write the whole base URL, like https://api.example.com/v1.")
        if is_link_local(urlsplit(value.strip()).hostname or ""):
            raise ConnectionMissing(f"{value!r} is an address of the link itself, where no teacher answers. Write the teacher's base URL.")
        return value.strip()

    @field_validator("key")
    @classmethod
    def _sendable(cls, value: SecretStr) -> SecretStr:
        """Refused here, because the HTTP client would show the key in its own error."""
        key = value.get_secret_value().strip()
        if not re.fullmatch(r"[!-~]+", key):
            raise ConnectionMissing(
                "The teacher's key is empty, or holds a space, a line break or a letter outside ASCII, as no key does. Copy it again."
            )
        return SecretStr(key)

    def without_key(self, text: str) -> str:
        """`text` with the key blotted out, and cut to a line's length: a server may echo what it was sent."""
        key = self.key.get_secret_value()
        return (text.replace(key, "[key]") if len(key) > 3 else text)[:LONGEST_MESSAGE].rstrip(" .")


@dataclass(frozen=True)
class Reply:
    """What the teacher said. `usage` is None when the server does not count."""

    text: str
    finish_reason: str
    usage: Usage | None
    thought: bool = False
    """Whether it thought before it answered: in `reasoning_content` or counted as reasoning tokens. The thoughts are read nowhere."""


class CallFault(Exception):
    """A call without an answer. `perhaps_paid`: the teacher may have worked for it. `again`: the same call may succeed later."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        perhaps_paid: bool = False,
        again: bool = False,
        retry_after: float | None = None,
        ends_run: type[TeacherError] | None = None,
    ) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.perhaps_paid = perhaps_paid
        self.again = again
        self.retry_after = retry_after
        self.ends_run = ends_run


class Teacher:
    """Open connections to the teacher; use it as an async context manager."""

    def __init__(self, endpoint: Endpoint, parameters: Mapping[str, Any], *, timeout_seconds: float, concurrency: int) -> None:
        self._endpoint = endpoint
        self._parameters = dict(parameters)
        self._timeout = timeout_seconds
        self._client = _client(endpoint, timeout_seconds, concurrency)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self._client.close()

    async def ask(self, messages: Sequence[Message]) -> Reply:
        """The teacher's answer. Raises CallFault; the key is in none of its words.

        The client's `post` leaves the body alone, where `chat.completions.create` walks through it twice: a third of its time.
        """
        try:
            async with asyncio.timeout(self._timeout):
                body = {**self._parameters, "messages": messages}
                response = await self._client.post(
                    "/chat/completions", body=body, cast_to=httpx2.Response, options={"security": {"bearer_auth": True}}
                )
            return read_reply(response.content)
        except TimeoutError:
            fault = CallFault("timeout", f"no answer within {self._timeout:g} s", perhaps_paid=True, again=True)
        except APIStatusError as error:
            fault = status_fault(error, self._endpoint)
        except APIConnectionError as error:
            fault = connection_fault(error, self._endpoint)
        raise fault from None


def status_fault(error: APIStatusError, endpoint: Endpoint) -> CallFault:
    """What a refusal means, by status, code and words."""
    status, words = error.status_code, endpoint.without_key(f"{error.status_code}: {_server_words(error)}")
    if status in (401, 403):
        return CallFault("key_refused", words, ends_run=TeacherKeyRefused)
    if status == 429:
        if "insufficient_quota" in (error.code, error.type):
            return CallFault("quota", words, ends_run=TeacherQuotaUsed)
        return CallFault("rate_limit", words, again=True, retry_after=_retry_after(error.response.headers))
    if status == 402:
        return CallFault("quota", words, ends_run=TeacherQuotaUsed)
    if status >= 500 or status in (408, 409):
        wait = _retry_after(error.response.headers)
        return CallFault("server_error", words, perhaps_paid=status not in NOT_TAKEN, again=True, retry_after=wait)
    if error.code == "context_length_exceeded" or _CONTEXT.search(words):
        return CallFault("context_too_long", words)
    if status == 404 or error.code == "model_not_found" or _NO_MODEL.search(words):
        return CallFault("model_unknown", words, ends_run=TeacherModelUnknown)
    return CallFault("bad_request", words)


def connection_fault(error: APIConnectionError, endpoint: Endpoint) -> CallFault:
    """What a broken connection means: whether the request can have reached the teacher.

    aiohttp's own error says it. What the client makes of it does not: a connection lost in the middle becomes one never made.
    """
    cause = error.__cause__ and (error.__cause__.__cause__ or error.__cause__)
    words = endpoint.without_key(f"{type(cause).__name__}: {cause}" if cause else error.message)
    if isinstance(cause, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return CallFault("unreachable", words, again=True)
    code = "timeout" if isinstance(cause, TimeoutError) else "connection_lost"
    return CallFault(code, words, perhaps_paid=True, again=True)


def _client(endpoint: Endpoint, timeout_seconds: float, connections: int) -> AsyncOpenAI:
    """The client over aiohttp: 2.4 ms of CPU a call where its own transport took 3.1 (training/LOG.md)."""
    timeout = httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    http = DefaultAioHttpClient(timeout=timeout, limits=limits)
    return AsyncOpenAI(base_url=endpoint.base_url, api_key=endpoint.key.get_secret_value(), max_retries=0, http_client=http)


def read_reply(body: bytes) -> Reply:
    """The answer in a chat completion. An answer without a choice is an empty one; anything that is no completion raises CallFault."""
    try:
        completion = json.loads(body)
        choices = completion["choices"]
        usage = _usage(completion.get("usage"))
        if not choices:
            return Reply("", "no_choice", usage)
        message = choices[0]["message"]
        finish = _storable(str(choices[0].get("finish_reason") or "unknown"))
        return Reply(_text(message.get("content")), finish, usage, _thought(message, completion.get("usage")))
    except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
        raise CallFault("malformed", f"the body is no chat completion ({type(error).__name__})", perhaps_paid=True, again=True) from None


def _thought(message: Any, usage: Any) -> bool:
    """DashScope's, DeepSeek's and vLLM's `reasoning_content`, newer vLLM's `reasoning`, or what OpenAI counts."""
    details = (usage if isinstance(usage, dict) else {}).get("completion_tokens_details") or {}
    return bool(message.get("reasoning_content") or message.get("reasoning") or details.get("reasoning_tokens"))


def _text(content: Any) -> str:
    """The words of a message, which may come as a list of parts."""
    if isinstance(content, list):
        content = "".join(str(part.get("text") or "") for part in content)
    return _storable(str(content or ""))


def _storable(text: str) -> str:
    """Without what no database keeps: NUL, and halves of surrogate pairs."""
    return text.replace("\x00", "").encode("utf-8", errors="replace").decode()


def _usage(found: Any) -> Usage | None:
    """OpenAI's, vLLM's and DashScope's `prompt_tokens_details.cached_tokens`, or DeepSeek's `prompt_cache_hit_tokens`.

    None when there are no counts, or none that can be true: the call then counts at its worst price.
    """
    try:
        prompt, completion = int(found["prompt_tokens"]), int(found["completion_tokens"])
        cached = int((found.get("prompt_tokens_details") or {}).get("cached_tokens") or found.get("prompt_cache_hit_tokens") or 0)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    if not (0 <= prompt <= MOST_TOKENS and 0 <= completion <= MOST_TOKENS and cached >= 0):
        return None
    return Usage(prompt=prompt, cached=min(cached, prompt), completion=completion)


def _server_words(error: APIStatusError) -> str:
    body = error.body
    if isinstance(body, Mapping):
        return str(body.get("message") or body.get("detail") or dict(body))
    return str(body or error.response.reason_phrase)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, from `retry-after-ms` or `Retry-After` (seconds or a date); None when there is none that can be read."""
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return max(0.0, float(milliseconds) / 1000)
        value = headers.get("retry-after")
        if value is None:
            return None
        if value.replace(".", "", 1).isdigit():
            return float(value)
        until = parsedate_to_datetime(value)
        return max(0.0, ((until if until.tzinfo else until.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds())
    except ValueError:
        return None
