"""Asks the serving gateway, before a promotion, whether it can serve the candidate: the port that the gate's limit `served` stands on.

The gateway is asked over HTTP like anybody asks it; judging imports nothing of it. What it tries is what it does after a promotion:
fetch, write for its engine, prove against plain peft, load, ask. That plain peft answers as was scored is the limit `reloaded`.
"""

import time
from collections.abc import Callable
from typing import Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ghostwriter.errors import GhostwriterError

ROUTE = "ghostwriter/candidates"
TIMEOUT_SECONDS = 30.0
PAUSE_SECONDS = 2.0
PATIENCE_SECONDS = 1800.0
"""For a candidate to be fetched, written and tried; others may be before it."""


class ServingSilent(GhostwriterError):
    """The gateway does not answer, or not in time; asking again later can help."""

    code = "serving"
    retryable = True


class Candidate(BaseModel):
    """A trained adapter that no alias names yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    writer: str
    run_id: str
    """MLflow's run whose artifact `adapter` it is."""
    digest: str = Field(pattern="^[0-9a-f]{64}$")
    """SHA-256 of its weights."""
    base: str
    revision: str | None
    questions: tuple[str, ...]
    """Held-out ones, which it is asked."""


class Tried(BaseModel):
    """What became of a candidate in the gateway's engine."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    state: Literal["loading", "served", "refused"]
    why: str = ""


class Serving(Protocol):
    """Who can tell whether a candidate can be served."""

    def tried(self, candidate: Candidate) -> Tried:
        """What became of it; never `loading`. Raises ServingSilent."""
        ...


class GatewayPort:
    """The gateway at `url` (with /v1)."""

    def __init__(self, url: str, key: str = "", sleep: Callable[[float], None] = time.sleep) -> None:
        self._url, self._sleep = url, sleep
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def tried(self, candidate: Candidate) -> Tried:
        """Ask until it is decided. Raises ServingSilent."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := self._ask(candidate)).state == "loading":
            if time.monotonic() > deadline:
                raise ServingSilent(
                    f"The serving gateway at {self._url} has not tried the candidate in {PATIENCE_SECONDS / 60:.0f} minutes."
                )
            self._sleep(PAUSE_SECONDS)
        return found

    def _ask(self, candidate: Candidate) -> Tried:
        import requests  # not at import: DAG files are parsed often

        try:
            answer = requests.post(
                f"{self._url}/{ROUTE}", json=candidate.model_dump(), headers=self._headers, timeout=TIMEOUT_SECONDS, allow_redirects=False
            )
            if answer.status_code == 200:
                return Tried.model_validate_json(answer.content)
            why = f"answers {answer.status_code}: {answer.text[:300]}"
        except (requests.RequestException, ValidationError) as error:
            why = f"does not answer as it should ({type(error).__name__})"
        raise ServingSilent(
            f"The writer file says that a candidate must be served before it is promoted, and the gateway at {self._url} {why}."
            " Start it (python -m ghostwriter serve), or name it in GHOSTWRITER_SERVING_URL; then run this task again."
        )
