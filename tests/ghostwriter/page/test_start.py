"""What a person can pick on the page, and what is refused before any DAG is started. Starting one for real: tests/e2e/test_screens.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import get_user
from fastapi.testclient import TestClient

from ghostwriter.home import Home
from ghostwriter.page.access import writers_of_user
from ghostwriter.page.app import app
from ghostwriter.page.earlier import SHOWN, earlier
from ghostwriter.page.nights import Night
from ghostwriter.page.overview import Card
from ghostwriter.page.words import make_templates
from ghostwriter.snapshot import set_current, write_snapshot
from ghostwriter.tasks.chain import mark_trained
from ghostwriter.writer import load_writer


def dataset(home: Home, text: str) -> Path:
    return write_snapshot(home.datasets("lamplight"), "dataset", "lamplight", {"rows.jsonl": [{"text": text}] * 2})


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path))
    app.dependency_overrides[get_user] = lambda: SimpleAuthManagerUser(username="ann", role="viewer")
    app.dependency_overrides[writers_of_user] = lambda: [load_writer("lamplight")]
    yield TestClient(app, follow_redirects=False)
    app.dependency_overrides.clear()


@pytest.mark.parametrize("typed", ["nothing", "../../etc", "/etc"])
def test_nothing_is_started_on_what_is_no_folder_of_the_writers(client: TestClient, typed: str) -> None:
    answer = client.post("/start/lamplight", data={"stage": "train", "folder": typed})
    assert answer.status_code == 404
    assert "names nothing in" in answer.text


def test_only_the_page_itself_may_start_a_dag_and_only_these(client: TestClient) -> None:
    asked = {"stage": "train", "folder": "x"}
    assert client.post("/start/lamplight", data=asked, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert client.post("/start/lamplight", data={**asked, "stage": "rollback"}).status_code == 422
    assert client.post("/start/somebody", data=asked).status_code == 404


def test_the_page_lists_the_newest_first_and_says_which_was_trained_on(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = [dataset(home, str(number)) for number in range(SHOWN + 2)]
    (made[0] / "manifest.json").write_text('{"cut": ')
    set_current(made[-1])
    mark_trained(made[-2], "run")
    listed = earlier(home.datasets("lamplight"))
    assert [one.name for one in listed[:2]] == [made[-1].name, made[-2].name]
    assert len(listed) == SHOWN - 1, "what cannot be read is left out"
    assert [(one.rows, one.is_newest, one.trained) for one in listed[:2]] == [(2, True, False), (2, False, True)]
    card = Card(load_writer("lamplight"), Night((), None, True), None, None, (), datasets=tuple(listed))
    page = make_templates("en").get_template("overview.html").render(prefix="", mlflow="", cards=[card], silent=[])
    assert page.count(f'<option value="{made[-1].name}">') == 1
    assert 'action="/ghostwriter/start/lamplight"' in page
    assert "2 rows, trained on" in page
    assert "Distil it" not in page
