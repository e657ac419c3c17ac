"""The gateway's routes: a request is checked, bound to one version, and what that version's engine says is passed on as it comes."""

import asyncio
import json
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager
from secrets import compare_digest
from typing import Any

import httpx2
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ghostwriter.judging.serving import Candidate
from ghostwriter.serving.answer import Bound, close, events, headers_of, named
from ghostwriter.serving.asked import CHAMPION, Asked, Json, no_model, read_request
from ghostwriter.serving.engine import Running, problem_of
from ghostwriter.serving.follow import Follow, Followed
from ghostwriter.serving.level import CANDIDATE, Facts
from ghostwriter.serving.loaded import Loaded
from ghostwriter.serving.problem import Problem, invalid
from ghostwriter.writer import Writer

MOST_BYTES = 2**20
"""Of a request's body: 100,000 tokens and more of any script."""
MOST_TOKENS = 1024
"""Of an answer, where neither the request nor the writer file says."""
LOOK_SECONDS = 0.5
TRIES, PAUSE = 3, 0.3
"""To reach an engine that ended a moment ago, before anybody noticed."""


class Gateway:
    """The routes, over what follows the registry. `hosts`: the names it may be called by (None: any), `key`: what a request must bear."""

    def __init__(self, follow: Follow, client: httpx2.AsyncClient, *, poll: float, key: str = "", hosts: list[str] | None = None) -> None:
        self._follow, self._client, self._poll, self._key = follow, client, poll, key
        self._began = int(time.time())
        self.app = Starlette(
            routes=[
                Route("/v1/models", self._models),
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/v1/ghostwriter/candidates", self._try_candidate, methods=["POST"]),
                Route("/healthz", self._health),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=hosts)] if hosts else [],
            exception_handlers={Problem: _refuse, HTTPException: _refuse_http, Exception: _fail},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        following = asyncio.create_task(self._follow.run(self._poll), name="follow")
        try:
            yield
        finally:
            following.cancel()
            await asyncio.wait([following])
            await self._follow.close()
            await self._client.aclose()

    async def _models(self, request: Request) -> Response:
        self._check_key(request)
        data = [entry for followed in self._follow.followed.values() for entry in self._entries(followed)]
        return JSONResponse({"object": "list", "data": data})

    async def _health(self, request: Request) -> Response:
        followed = self._follow.followed
        wanted = [each for each in followed.values() if each.level and each.level.champion]
        is_ready = self._follow.heard is not None and (not wanted or any(each.served for each in wanted))
        status = {"status": "ok" if is_ready else "starting"}
        if not self._bears_key(request):
            return JSONResponse(status, 200 if is_ready else 503)
        silent = self._follow.silence
        seconds = None if self._follow.heard is None else round(time.monotonic() - self._follow.heard, 1)
        registry = {"is_stale": bool(silent), "seconds": seconds, "why": silent}
        writers = {stem: self._standing(each) for stem, each in followed.items()}
        return JSONResponse({**status, "registry": registry, "writers": writers}, 200 if is_ready else 503)

    async def _try_candidate(self, request: Request) -> Response:
        """What `ghostwriter.judging.serving` asks before a promotion."""
        self._check_key(request)
        try:
            asked = Candidate.model_validate(await _body(request))
        except ValidationError as error:
            raise invalid(f"This is no candidate: {error.errors()[0]['loc']} {error.errors()[0]['msg']}") from None
        facts = Facts(asked.writer, CANDIDATE, asked.digest, asked.base, asked.revision, int(time.time()), asked.run_id)
        return JSONResponse(self._follow.try_candidate(facts, asked.questions).model_dump())

    async def _complete(self, request: Request) -> Response:
        self._check_key(request)
        asked = read_request(await _body(request), lambda stem: self._writer(stem).answering, self._most_tokens)
        await self._follow.look_for(asked.which)
        facts, loaded = self._follow.bind(asked.which)
        with ExitStack() as held:
            held.enter_context(loaded.bound())
            if asked.is_stream:
                upstream = await self._send(loaded, asked)
                return Bound(events(upstream, facts, asked), facts, asked, held.pop_all())
            answer = await _unless_gone(request, self._answer(loaded, asked))
        return JSONResponse(named(answer, facts, uuid.uuid4().hex), headers=headers_of(facts, asked))

    async def _answer(self, loaded: Loaded, asked: Asked) -> Json:
        upstream = await self._send(loaded, asked)
        try:
            found: Json = json.loads(await upstream.aread())
            return found
        except (httpx2.HTTPError, ValueError):
            raise Problem(502, "engine_failed", "The engine ended while it answered. Ask again.", retry_after=1) from None
        finally:
            await close(upstream)

    async def _send(self, loaded: Loaded, asked: Asked) -> httpx2.Response:
        """Send the request on; returns once the engine has begun to answer. Raises Problem."""
        for tried in range(1, TRIES + 1):
            running = await loaded.running()
            try:
                upstream = await self._client.send(self._request(running, asked), stream=True)
            except httpx2.ReadTimeout:
                raise Problem(503, "model_unavailable", f"The engine of {loaded.name} is too slow.", retry_after=30) from None
            except httpx2.HTTPError:
                if tried == TRIES:
                    raise Problem(502, "engine_failed", f"The engine of {loaded.name} ended. Ask again.", retry_after=2) from None
                await asyncio.sleep(PAUSE)
                continue
            if upstream.status_code == 200:
                return upstream
            try:
                body = await upstream.aread()
            finally:
                await close(upstream)
            raise problem_of(upstream.status_code, _read_json(body))
        raise AssertionError

    def _request(self, running: Running, asked: Asked) -> httpx2.Request:
        stream = {"stream": True, "stream_options": {"include_usage": True}} if asked.is_stream else {}
        body = {**running.extra, **asked.sampling, **stream, "model": running.model, "messages": list(asked.messages)}
        headers = {"Authorization": f"Bearer {running.key}"}
        return self._client.build_request("POST", f"{running.address}/chat/completions", json=body, headers=headers)

    def _writer(self, stem: str) -> Writer:
        if (followed := self._follow.followed.get(stem)) is None:
            raise no_model(stem)
        return followed.writer

    def _most_tokens(self, stem: str) -> int:
        return self._writer(stem).evaluation.max_new_tokens or MOST_TOKENS

    def _entries(self, followed: Followed) -> Iterator[Json]:
        level, stem = followed.level, followed.writer.stem
        if level is None:
            return
        names = {f"{stem}@v{number}": facts for number, facts in sorted(level.versions.items(), key=lambda item: -int(item[0]))}
        roles = {stem: level.champion, f"{stem}@previous": level.previous, f"{stem}@base": level.champion and level.champion.under()}
        for name, facts in {**roles, **names}.items():
            if facts:
                own = {"writer": stem, "version": facts.number, "digest": facts.digest, "is_loaded": facts.key in self._follow.loaded}
                yield {"id": name, "object": "model", "created": facts.created, "owned_by": "ghostwriter", "ghostwriter": own}

    def _standing(self, followed: Followed) -> Json:
        champion, previous, failure = followed.served.get(CHAMPION), followed.served.get("previous"), followed.failure
        stem = followed.writer.stem
        return {
            "version": champion[0].number if champion else None,
            "digest": champion[0].digest if champion else None,
            "is_ready": bool(champion and champion[1].is_up),
            "previous": previous[0].number if previous else None,
            "loaded": sorted(each.name for each in self._follow.loaded.values() if each.name.startswith(f"{stem}@")),
            "is_moving": bool(followed.level and followed.level.is_moving),
            "failed": {"version": failure.facts.number, "why": failure.why, "when": failure.when} if failure else None,
        }

    def _check_key(self, request: Request) -> None:
        if not self._bears_key(request):
            words = "This gateway wants its key: Authorization: Bearer KEY. It stands in serving_key in the home folder of Ghostwriter."
            raise Problem(401, "invalid_api_key", words)

    def _bears_key(self, request: Request) -> bool:
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return not self._key or compare_digest(given.encode(), self._key.encode())


async def _body(request: Request) -> Any:
    if request.headers.get("Content-Type", "").partition(";")[0].strip() != "application/json":
        raise invalid("Send the request as JSON: Content-Type: application/json.")
    size, parts = 0, []
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise Problem(413, "request_too_large", f"The request is larger than {MOST_BYTES} bytes. Shorten the conversation.")
        parts.append(part)
    try:
        return json.loads(b"".join(parts))
    except (ValueError, RecursionError):
        raise invalid("The body is no JSON.") from None


async def _unless_gone(request: Request, answer: Any) -> Json:
    """The answer; it is given up when whoever asked is gone, so that the engine works for nobody."""
    task = asyncio.ensure_future(answer)
    try:
        while not (await asyncio.wait([task], timeout=LOOK_SECONDS))[0]:
            if await request.is_disconnected():
                raise Problem(499, "client_gone", "Whoever asked is gone.")
        found: Json = task.result()
        return found
    finally:
        task.cancel()


def _read_json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return {}


async def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return JSONResponse(error.body, error.status, headers=error.headers)


async def _refuse_http(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    words = f"{error.detail}. This gateway has GET /v1/models, POST /v1/chat/completions and GET /healthz."
    return JSONResponse(Problem(error.status_code, "invalid_request", words).body, error.status_code)


async def _fail(_request: Request, _error: Exception) -> Response:
    words = "Something went wrong in the gateway; its log says what."
    return JSONResponse(Problem(500, "server_error", words).body, 500)
