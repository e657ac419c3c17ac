"""The page's routes, for the API server. Every route needs a login: the dependency stands at the app, not at each of them."""

from typing import Annotated, Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import Depends, FastAPI, HTTPException, Query, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from ghostwriter.mlflow_runs.registry import MlflowSilent
from ghostwriter.page import chat, start, views
from ghostwriter.page.access import Language, OneWriter, Writers
from ghostwriter.page.champions import Champion, Version, read_champion
from ghostwriter.page.compare import compare
from ghostwriter.page.overview import cards, open_registry
from ghostwriter.page.rendering import render

PAGE_QUESTIONS = 20
COMPARE_SECONDS = 10.0
"""For the samples of two versions, which may be megabytes; somebody asked for them and waits."""

app = FastAPI(title="Ghostwriter", dependencies=[Depends(requires_authenticated())], docs_url=None, redoc_url=None, openapi_url=None)
app.include_router(chat.router)
app.include_router(start.router)
app.include_router(views.router)


@app.get("/")
def overview(writers: Writers, session: SessionDep, accepted: Language = "") -> HTMLResponse:
    """How each writer stands."""
    shown = cards(session, writers)
    silent = sorted({problem for card in shown for problem in card.problems})
    return render("overview.html", accepted=accepted, writers=writers, cards=shown, silent=silent)


@app.get("/compare/{stem}")
def compare_versions(
    writer: OneWriter,
    one: Annotated[int, Query(ge=1)],
    other: Annotated[int, Query(ge=1)],
    start: Annotated[int, Query(ge=0)] = 0,
    accepted: Language = "",
) -> HTMLResponse:
    """Two versions' answers to the same held-out questions."""
    try:
        registry = open_registry(COMPARE_SECONDS)
        champion = read_champion(registry, writer.stem)
        samples = compare(registry, _version(champion, one), _version(champion, other))
    except MlflowSilent as silent:
        nothing: dict[str, Any] = {"samples": [], "total": 0, "start": 0, "step": 0}
        nothing |= {"one": one, "other": other, "silent": [str(silent)]}
        return render("compare.html", accepted=accepted, writers=[writer], writer=writer, **nothing)
    shown = samples[start : start + PAGE_QUESTIONS]
    found: dict[str, Any] = {"samples": shown, "total": len(samples), "start": start, "step": PAGE_QUESTIONS}
    return render("compare.html", accepted=accepted, writers=[writer], writer=writer, one=one, other=other, silent=[], **found)


@app.exception_handler(HTTPException)
def refused(request: Request, error: HTTPException) -> Response:
    """Someone who is not logged in is sent to Airflow's login, and back here afterwards; other refusals are a short page."""
    if error.status_code == status.HTTP_401_UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
        here = f"{request.url.path}?{request.url.query}".removesuffix("?")  # without the host, which is the caller's own word
        return RedirectResponse(get_auth_manager().get_url_login(next_url=here), status.HTTP_303_SEE_OTHER)
    return render("refused.html", error.status_code, accepted=request.headers.get("accept-language", ""), words=str(error.detail))


def _version(champion: Champion | None, number: int) -> Version:
    found = next((version for version in (champion.versions if champion else ()) if version.number == number), None)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no version {number}.")
    return found
