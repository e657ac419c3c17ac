"""Whether a teacher works, before anything depends on it: what it serves, and the cheapest call there is."""

import logging
from typing import Any

import requests

from ghostwriter.errors import TeacherError
from ghostwriter.teacher.advice import ADVICE
from ghostwriter.teacher.client import CallFault, Endpoint, Reply, Teacher, TeacherKeyRefused

SECONDS = 60.0


def models(endpoint: Endpoint) -> list[str]:
    """What the address serves; empty when it does not say. Raises TeacherError when nobody answers, TeacherKeyRefused."""
    url = f"{endpoint.base_url.rstrip('/')}/models"
    try:
        reply = requests.get(url, auth=lambda request: _with_key(request, endpoint), timeout=SECONDS, allow_redirects=False)
    except requests.RequestException as error:
        raise TeacherError(f"{endpoint.base_url} cannot be reached ({type(error).__name__}). Is the address right, does it run?") from None
    if reply.status_code in (401, 403):
        raise TeacherKeyRefused(f"the key was refused ({reply.status_code} from {url}). Copy it again.")
    try:
        return sorted(str(model["id"]) for model in reply.json()["data"]) if reply.ok else []
    except (ValueError, KeyError, TypeError):
        return []


async def one_call(endpoint: Endpoint, parameters: dict[str, Any]) -> str:
    """The cheapest call there is; returns what it took. Raises TeacherError and its kinds."""
    reply = await first_reply(endpoint, parameters)
    return f"{reply.usage.prompt} tokens in, {reply.usage.completion} out" if reply.usage else "it does not count tokens"


async def first_reply(endpoint: Endpoint, parameters: dict[str, Any]) -> Reply:
    """What it says to one short question. Raises TeacherError and its kinds."""
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # it writes a line for each request
    async with Teacher(endpoint, parameters, timeout_seconds=SECONDS, concurrency=1) as teacher:
        try:
            return await teacher.ask([{"role": "user", "content": "Say yes."}])
        except CallFault as fault:
            words = endpoint.without_key(fault.message)
            if fault.ends_run:
                raise fault.ends_run(f"{words}. {ADVICE[fault.code]}") from None
            raise TeacherError(f"{fault.code}: {words}") from None


def _with_key(request: requests.PreparedRequest, endpoint: Endpoint) -> requests.PreparedRequest:
    """As `auth`, so that no .netrc puts another one in its place."""
    request.headers["Authorization"] = f"Bearer {endpoint.key.get_secret_value()}"
    return request
