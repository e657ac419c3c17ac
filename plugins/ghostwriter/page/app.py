"""The page's routes, for the API server. Every route needs a login: the dependency stands at the app, not at each of them."""

from typing import Annotated, Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, requires_authenticated
from airflow.configuration import conf
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, status
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment

from ghostwriter.mlflow_runs.links import public_address
from ghostwriter.mlflow_runs.registry import MlflowSilent
from ghostwriter.page.champions import Champion, Version, read_champion
from ghostwriter.page.compare import compare
from ghostwriter.page.overview import cards, open_registry, visible_writers
from ghostwriter.page.words import Tongue, make_templates, tongue_of
from ghostwriter.writer import Writer

PAGE_QUESTIONS = 20
COMPARE_SECONDS = 10.0
"""For the samples of two versions, which may be megabytes; somebody asked for them and waits."""
HEADERS = {
    # No script runs here, whatever an answer on the page holds.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

app = FastAPI(title="Ghostwriter", dependencies=[Depends(requires_authenticated())], docs_url=None, redoc_url=None, openapi_url=None)
TEMPLATES: dict[Tongue, Environment] = {"en": make_templates("en"), "zh": make_templates("zh")}
templates = TEMPLATES["en"]
Language = Annotated[str, Header(alias="accept-language")]


def writers_of_user(user: GetUserDep, session: SessionDep) -> list[Writer]:
    """The writers whose DAGs the user may read."""
    return visible_writers(get_auth_manager().get_authorized_dag_ids(user=user, session=session))


Writers = Annotated[list[Writer], Depends(writers_of_user)]


@app.get("/")
def overview(writers: Writers, session: SessionDep, accepted: Language = "") -> HTMLResponse:
    """How each writer stands."""
    shown = cards(session, writers)
    silent = sorted({problem for card in shown for problem in card.problems})
    return _page("overview.html", accepted=accepted, cards=shown, silent=silent)


@app.get("/compare/{stem}")
def compare_versions(
    writers: Writers,
    stem: str,
    one: Annotated[int, Query(ge=1)],
    other: Annotated[int, Query(ge=1)],
    start: Annotated[int, Query(ge=0)] = 0,
    accepted: Language = "",
) -> HTMLResponse:
    """Two versions' answers to the same held-out questions."""
    writer = next((writer for writer in writers if writer.stem == stem), None)
    if writer is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no writer {stem!r}.")
    try:
        registry = open_registry(COMPARE_SECONDS)
        champion = read_champion(registry, stem)
        samples = compare(registry, _version(champion, one), _version(champion, other))
    except MlflowSilent as silent:
        nothing: dict[str, Any] = {"samples": [], "total": 0, "start": 0, "step": 0}
        return _page("compare.html", accepted=accepted, writer=writer, one=one, other=other, silent=[str(silent)], **nothing)
    shown = samples[start : start + PAGE_QUESTIONS]
    found: dict[str, Any] = {"samples": shown, "total": len(samples), "start": start, "step": PAGE_QUESTIONS}
    return _page("compare.html", accepted=accepted, writer=writer, one=one, other=other, silent=[], **found)


@app.exception_handler(HTTPException)
def refused(request: Request, error: HTTPException) -> Response:
    """Someone who is not logged in is sent to Airflow's login, and back here afterwards; other refusals are a short page."""
    if error.status_code == status.HTTP_401_UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
        here = f"{request.url.path}?{request.url.query}".removesuffix("?")  # without the host, which is the caller's own word
        return RedirectResponse(get_auth_manager().get_url_login(next_url=here), status.HTTP_303_SEE_OTHER)
    return _page("refused.html", error.status_code, accepted=request.headers.get("accept-language", ""), words=str(error.detail))


def _version(champion: Champion | None, number: int) -> Version:
    found = next((version for version in (champion.versions if champion else ()) if version.number == number), None)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"There is no version {number}.")
    return found


def _page(template: str, code: int = status.HTTP_200_OK, *, accepted: str, **values: object) -> HTMLResponse:
    prefix = urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")
    text = TEMPLATES[tongue_of(accepted)].get_template(template).render(prefix=prefix, mlflow=_mlflow(), **values)
    return HTMLResponse(text, code, headers=HEADERS)


def _mlflow() -> str:
    try:
        return public_address(open_registry().uri)
    except MlflowSilent:
        return ""
