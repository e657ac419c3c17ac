"""A template in the browser's language, with the headers every page has."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from airflow.configuration import conf
from fastapi import status
from fastapi.responses import HTMLResponse
from jinja2 import Environment

from ghostwriter.mlflow_runs.links import public_address
from ghostwriter.mlflow_runs.registry import MlflowSilent
from ghostwriter.page.overview import open_registry
from ghostwriter.page.words import make_templates, tongue_of
from ghostwriter.words.catalogue import Language
from ghostwriter.writer import Writer

HEADERS = {
    # No script runs here, whatever an answer on the page holds.
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
CHAT_HEADERS = {
    **HEADERS,
    # One script, a file of ours; answers reach the page as text only, and nothing is sent anywhere else.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'unsafe-inline'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
}
REPORT_HEADERS = {
    **HEADERS,
    # Written by a training container: its script runs in an origin of its own, without Airflow's cookie, and reaches nothing.
    "Content-Security-Policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'self'",
}
TEMPLATES: dict[Language, Environment] = {"en": make_templates("en"), "zh": make_templates("zh")}


def render(
    template: str,
    code: int = status.HTTP_200_OK,
    *,
    accepted: str,
    writers: Sequence[Writer] = (),
    headers: dict[str, str] = HEADERS,
    **values: object,
) -> HTMLResponse:
    """The page; `accepted` is the request's Accept-Language, `writers` are those it shows."""
    text = TEMPLATES[tongue_of(accepted, writers)].get_template(template).render(prefix=prefix(), mlflow=_mlflow(), **values)
    return HTMLResponse(text, code, headers=headers)


def prefix() -> str:
    """The path below which Airflow's own pages lie, without a slash at its end."""
    return urlsplit(conf.get("api", "base_url", fallback="")).path.rstrip("/")


def _mlflow() -> str:
    try:
        return public_address(open_registry().uri)
    except MlflowSilent:
        return ""
