"""The chat page's routes: talk to a writer's versions, compare two of them blindly, vote.

Answers pass through as they are written. Of a comparison nothing leaves the server before the vote that
differs between the two orders; what the vote is about comes back with it, sealed.
"""

import logging
import secrets
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Self

from airflow.api_fastapi.auth.tokens import get_signing_key
from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, BackgroundTasks, Depends, status
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy.exc import DBAPIError

from ghostwriter.home import Home
from ghostwriter.page.access import Language, OneWriter, refuse_other_sites
from ghostwriter.page.chat_view import see_chat
from ghostwriter.page.gateway import GatewayError, NotRunning, ask
from ghostwriter.page.mirror import show_votes
from ghostwriter.page.rendering import CHAT_HEADERS, render
from ghostwriter.page.state import shared_engine
from ghostwriter.page.talk import Events, ask_two, model_of, one_answer, two_answers
from ghostwriter.page.words import tongue_of
from ghostwriter.votes.comparison import Choice, Comparison, Message, Sampling, Side, draw_sides, new_id
from ghostwriter.votes.records import VotedAlready, forget_old, keep_chat, record_vote
from ghostwriter.votes.sealed import ComparisonUnknown, Seal
from ghostwriter.words.catalogue import Language as Tongue
from ghostwriter.words.sentences import say_sentence
from ghostwriter.writer import Writer

log = logging.getLogger(__name__)

MOST_MESSAGES, MOST_CHARACTERS = 100, 200_000
"""Of one request; what fits into a model's context is the gateway's to say."""
MOST_SEALED = 4 * MOST_CHARACTERS
NOT_KEPT = "The vote could not be kept: the database does not take it now. Vote again."
SCRIPT = Path(__file__).parent / "static" / "chat.js"
STREAM_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no"}
VersionName = Annotated[str, StringConstraints(pattern=r"^(champion|previous|base|v[1-9][0-9]{0,6})$")]

router = APIRouter()


class Asked(BaseModel):
    """What every request for answers holds: the chat so far, a question last."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    messages: tuple[Message, ...] = Field(min_length=1, max_length=MOST_MESSAGES)

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> Self:
        if self.messages[-1].role != "user" or not self.messages[-1].content.strip():
            raise ValueError("the last message must be the user's, and not empty")
        if sum(len(message.content) for message in self.messages) > MOST_CHARACTERS:
            raise ValueError(f"more than {MOST_CHARACTERS} characters")
        return self


class AskedOne(Asked):
    """A request for one version's answer."""

    version: VersionName = "champion"


class AskedTwo(Asked):
    """A request for a blind comparison."""

    versions: tuple[VersionName, VersionName]

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.versions[0] == self.versions[1]:
            raise ValueError("a version cannot be compared with itself")
        return self


class Vote(BaseModel):
    """A vote on a sealed comparison."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comparison: str = Field(max_length=MOST_SEALED)
    choice: Choice


@router.get("/chat.js")
def script() -> FileResponse:
    """The page's only script."""
    return FileResponse(SCRIPT, media_type="text/javascript", headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"})


@router.get("/chat/{stem}")
def chat_page(writer: OneWriter, accepted: Language = "") -> HTMLResponse:
    """The page."""
    view = see_chat(writer)
    return render("chat.html", accepted=accepted, writers=[writer], headers=CHAT_HEADERS, writer=writer, view=view, silent=view.problems)


@router.post("/chat/{stem}/answer", dependencies=[Depends(refuse_other_sites)])
async def answer(writer: OneWriter, user: GetUserDep, asked: AskedOne, accepted: Language = "") -> Response:
    """One version's answer, as server-sent events (`page.talk`)."""
    sampling, tongue = _sampling(writer), tongue_of(accepted, [writer])
    keep = partial(_keep, writer, user.get_name(), asked.messages, sampling) if writer.chat.keep else None
    try:
        begun = await ask(model_of(writer.stem, asked.version), asked.messages, sampling)
    except GatewayError as error:
        return _refusal(error, tongue)
    return _stream(one_answer(begun, asked.version, keep, tongue))


@router.post("/chat/{stem}/compare", dependencies=[Depends(refuse_other_sites)])
async def compare_blindly(writer: OneWriter, user: GetUserDep, asked: AskedTwo, accepted: Language = "") -> Response:
    """Two versions' answers as A and B, as server-sent events (`page.talk`)."""
    sampling, sides, tongue = _sampling(writer), draw_sides(asked.versions), tongue_of(accepted, [writer])
    try:
        begun = await ask_two(writer.stem, sides, asked.messages, sampling)
    except GatewayError as error:
        return _refusal(error, tongue)
    return _stream(two_answers(begun, sides, _closer(writer, user.get_name(), asked.messages, sampling), tongue))


@router.post("/chat/{stem}/vote", dependencies=[Depends(refuse_other_sites)])
def vote(writer: OneWriter, user: GetUserDep, voted: Vote, later: BackgroundTasks, accepted: Language = "") -> JSONResponse:
    """Keep a vote, and say whose the answers were. It is on the disk when this is answered."""
    tongue = tongue_of(accepted, [writer])
    try:
        comparison = _seal().open(voted.comparison, writer.stem, user.get_name())
        record_vote(shared_engine(Home.default().database_url), comparison, voted.choice)
    except ComparisonUnknown as error:
        return _error(say_sentence(str(error), tongue), status.HTTP_400_BAD_REQUEST)
    except VotedAlready as error:
        return _error(say_sentence(str(error), tongue), status.HTTP_409_CONFLICT)
    except DBAPIError as error:
        log.warning("A vote could not be kept: %s", type(error).__name__)
        return _error(say_sentence(NOT_KEPT, tongue), status.HTTP_503_SERVICE_UNAVAILABLE)
    later.add_task(show_votes, writer.stem)
    sides = {"a": comparison.a, "b": comparison.b}
    return JSONResponse({letter: {"asked": side.asked, "version": side.version} for letter, side in sides.items()})


def _sampling(writer: Writer) -> Sampling:
    """As the writer's answers were judged, with a seed of its own."""
    how = writer.answering
    return Sampling(temperature=how.temperature, min_p=how.min_p, max_tokens=writer.chat.max_tokens, seed=secrets.randbelow(2**31))


def _closer(writer: Writer, who: str, messages: tuple[Message, ...], sampling: Sampling) -> Callable[[Side, Side], str]:
    def close(a: Side, b: Side) -> str:
        comparison = Comparison(id=new_id(), writer=writer.stem, who=who, messages=messages, a=a, b=b, sampling=sampling)
        return _seal().close(comparison)

    return close


def _seal() -> Seal:
    """Made of the secret that all API servers of an installation share."""
    return Seal(get_signing_key("api", "secret_key"))


def _keep(writer: Writer, who: str, messages: tuple[Message, ...], sampling: Sampling, side: Side) -> None:
    """Keep an answer; one that cannot be kept was read all the same."""
    engine = shared_engine(Home.default().database_url)
    try:
        keep_chat(engine, writer.stem, who, messages, side, sampling)
        forget_old(engine, writer.stem, writer.chat.keep_days)
    except DBAPIError as error:
        log.warning("An answer of the chat with %s could not be kept: %s", writer.stem, type(error).__name__)


def _stream(events: Events) -> StreamingResponse:
    return StreamingResponse(events, media_type="text/event-stream", headers=STREAM_HEADERS)


def _refusal(error: GatewayError, tongue: Tongue) -> JSONResponse:
    more = {"Retry-After": error.retry_after} if error.retry_after else {}
    return _error(say_sentence(str(error), tongue), error.status, more, is_down=isinstance(error, NotRunning))


def _error(message: str, code: int, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    return JSONResponse({"error": message, **more}, code, headers)
