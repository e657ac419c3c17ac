"""Nothing of the page is shown to someone who is not logged in; what is shown is escaped."""

from urllib.parse import parse_qs, urlsplit

import pytest
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.core_api.security import requires_authenticated
from fastapi import HTTPException, Request
from fastapi.routing import APIRoute

from ghostwriter.page.app import app, refused
from ghostwriter.page.rendering import TEMPLATES

ROUTES = [route for route in app.routes if isinstance(route, APIRoute)]


def test_there_is_no_list_of_routes_and_no_document() -> None:
    paths = sorted(route.path for route in app.routes if hasattr(route, "path"))
    talking = [f"/chat/{{stem}}{end}" for end in ("", "/answer", "/compare", "/vote")]
    assert paths == ["/", "/chat.js", *talking, "/compare/{stem}", "/dag/{dag_id}", "/report/{dag_id}/{run_id}", "/start/{stem}"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_every_route_needs_a_login(route: APIRoute) -> None:
    names = {dependency.call.__qualname__ for dependency in route.dependant.dependencies if dependency.call}
    assert requires_authenticated().__qualname__ in names


def test_the_way_back_from_the_login_is_not_taken_from_the_host_header(monkeypatch: pytest.MonkeyPatch) -> None:
    login = SimpleAuthManager()
    monkeypatch.setattr("ghostwriter.page.app.get_auth_manager", lambda: login)
    url = {"path": "/ghostwriter/compare/x", "query_string": b"one=1&other=2", "server": ("here", 80), "scheme": "http"}
    headers = [(b"host", b"evil.example"), (b"accept", b"text/html")]
    answer = refused(Request({"type": "http", "method": "GET", "headers": headers, **url}), HTTPException(401))
    asked = parse_qs(urlsplit(answer.headers["location"]).query)
    assert asked["next"] == ["/ghostwriter/compare/x?one=1&other=2"]


def test_an_answer_that_is_html_is_shown_as_text() -> None:
    from ghostwriter.page.compare import Sample

    hostile = "<script>alert(1)</script>"
    page = (
        TEMPLATES["en"]
        .get_template("compare.html")
        .render(
            prefix="",
            mlflow="",
            writer={"name": hostile, "stem": "x"},
            one=2,
            other=1,
            silent=[hostile],
            samples=[Sample(hostile, hostile, hostile, "b")],
            total=1,
            start=0,
            step=20,
        )
    )
    assert hostile not in page
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 5
