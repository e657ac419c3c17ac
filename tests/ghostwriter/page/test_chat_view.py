"""The chat page where something is away, and what it says of the votes so far."""

import asyncio
import re
import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ghostwriter.database import open_database
from ghostwriter.home import Home
from ghostwriter.page import chat_view
from ghostwriter.page.champions import Champion, Version
from ghostwriter.page.chat_view import see_chat
from ghostwriter.page.gateway import NotRunning, ask
from ghostwriter.page.rendering import render
from ghostwriter.words.catalogue import Language
from ghostwriter.writer import Writer
from tests.distill_case import make_writer
from tests.vote_case import QUESTION, SAMPLING, comparison, vote

MADE = datetime(2026, 11, 30, tzinfo=UTC)


@pytest.fixture
def closed_port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}/v1"
    monkeypatch.setenv("GHOSTWRITER_SERVING_URL", url)
    monkeypatch.setenv("GHOSTWRITER_HOME", str(tmp_path))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return url


def page(writer: Writer, tongue: Language = "en") -> str:
    view = see_chat(writer)
    return bytes(render("chat.html", accepted=tongue, writer=writer, view=view, silent=view.problems).body).decode()


@pytest.mark.parametrize(("tongue", "words"), [("en", "so nobody answers here. Start the gateway"), ("zh", "启动网关")])
def test_without_a_gateway_the_page_says_how_to_start_it(closed_port: str, tongue: Language, words: str) -> None:
    text = page(make_writer(), tongue)
    banner = text[text.index('<p class="banner" role="alert">') : text.index("<section")]
    assert words in banner
    assert closed_port in banner
    assert "python -m ghostwriter serve" in banner
    assert [option for option in ("champion", "previous", "base") if f'<option value="{option}"' in text] == [
        "champion",
        "previous",
        "base",
    ]


def test_without_a_gateway_a_question_says_so_at_once(closed_port: str) -> None:
    with pytest.raises(NotRunning, match="python -m ghostwriter serve"):
        asyncio.run(ask("tester", comparison().messages, SAMPLING))


def test_the_win_rate_of_the_champion_over_the_previous_one_stands_there_with_its_interval(
    closed_port: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_database(Home.default().database_url)
    for _ in range(9):
        vote(engine, "a")
    vote(engine, "b", question=QUESTION)
    champion = Champion("ghostwriter-tester", (), champion=3, previous=2)
    monkeypatch.setattr(chat_view, "_champion", lambda _stem: (champion, ()))
    english, chinese = page(make_writer()), page(make_writer(), "zh")
    assert "In 10 blind votes the champion was preferred 90 % of the time" in english
    assert re.search(r"\(95 % interval: [5-8]\d to 100 %\)", english)
    assert "Won 9, undecided 0, lost 1." in english
    assert "在 10 次盲投中，冠军获选 90%" in chinese
    monkeypatch.setattr(chat_view, "_champion", lambda _stem: (Champion("ghostwriter-tester", (), champion=4, previous=3), ()))
    assert "A share is given from 5 votes on." in page(make_writer())


def test_every_version_can_be_chosen_and_the_aliases_say_which_they_are(closed_port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    versions = tuple(Version(number, MADE, "r", "", "") for number in (3, 2, 1))
    monkeypatch.setattr(chat_view, "_champion", lambda _stem: (Champion("m", versions, champion=3, previous=None), ()))
    assert see_chat(make_writer()).versions == (("champion", 3), ("base", None), ("v3", 3), ("v2", 2), ("v1", 1))
