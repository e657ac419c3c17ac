"""The chat page over real HTTP: answers pass through as they come, a comparison tells nothing before the vote, a vote outlives kill -9."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from ghostwriter.database import open_database
from ghostwriter.home import ROOT, Home
from ghostwriter.snapshot import write_snapshot
from ghostwriter.votes.records import all_chats, all_votes
from tests.gateway_server import GatewayServer
from tests.ghostwriter.conftest import WRITER_FILE

STEM, KEPT = "laocheng", "keeper"
HOSTILE = "<img src=x onerror=alert(1)>"
ANSWERS = {
    STEM: ["The ", "lamp\u2028 ", "burns."],
    f"{STEM}@previous": ["The ", "gulls\u2028 ", "cry."],
    f"{STEM}@base": ["As a model, ", "I ", "cannot ", "burn ", "oil."],
    KEPT: ["Kept."],
}
QUESTION = [{"role": "user", "content": f"Why? {HOSTILE}"}]


@dataclass
class Server:
    """The page's process, the gateway it asks, and the home both know."""

    process: "subprocess.Popen[bytes]"
    url: str
    gateway: GatewayServer
    home: Home

    def post(self, path: str, body: dict[str, Any], stem: str = STEM, **more: Any) -> requests.Response:
        return requests.post(f"{self.url}/chat/{stem}/{path}", json=body, timeout=60, **more)

    def answer(self, **more: Any) -> list[dict[str, str]]:
        return events(self.post("answer", {"messages": QUESTION}, **more))

    def compare(self, *versions: str) -> requests.Response:
        return self.post("compare", {"messages": QUESTION, "versions": versions or ("champion", "previous")})


def events(response: requests.Response) -> list[dict[str, str]]:
    assert response.status_code == 200, response.text
    return [json.loads(part.removeprefix("data: ")) for part in response.content.decode().strip().split("\n\n")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    writers, home = tmp_path_factory.mktemp("writers"), Home(tmp_path_factory.mktemp("home"))
    (writers / f"{STEM}.toml").write_text(WRITER_FILE.replace('language = "zh"', 'language = "en"') + "[chat]\nmax_tokens = 77\n")
    (writers / f"{KEPT}.toml").write_text(WRITER_FILE + "[chat]\nkeep = true\nkeep_days = 9\n")
    (home.path / "serving_key").write_text("sk-serving-1\n")
    row = {"messages": [{"role": "user", "content": f"What of {HOSTILE}?"}, {"role": "assistant", "content": "x"}]}
    write_snapshot(home.datasets(STEM), "dataset", STEM, {"heldout.jsonl": [row]})
    with GatewayServer(ANSWERS) as gateway, socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
        probe.close()
        environment = {
            **{name: value for name, value in os.environ.items() if name != "MLFLOW_TRACKING_URI"},  # MLflow's client sets it
            "GHOSTWRITER_HOME": str(home.path),
            "GHOSTWRITER_WRITERS": str(writers),
            "GHOSTWRITER_SERVING_URL": gateway.url,
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
        }
        command = [sys.executable, "-W", "ignore", Path(__file__).with_name("chat_server.py"), str(port)]
        with subprocess.Popen(command, env=environment) as process:
            try:
                _wait_until_open(port, process)
                yield Server(process, f"http://127.0.0.1:{port}", gateway, home)
            finally:
                process.kill()


def _wait_until_open(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_an_answer_is_its_version_its_words_and_its_end(server: Server) -> None:
    assert server.answer() == [{"version": "3"}, {"text": "The "}, {"text": "lamp\u2028 "}, {"text": "burns."}, {"end": "stop"}]
    asked = server.gateway.requests[-1]
    assert (asked["model"], asked["stream"], asked["max_tokens"], asked["min_p"]) == (STEM, True, 77, 0.05)
    assert asked["messages"] == QUESTION
    assert server.gateway.keys[-1] == "Bearer sk-serving-1"


def test_words_pass_through_as_they_come_and_a_reader_who_leaves_ends_the_answer(server: Server) -> None:
    server.gateway.pauses = {STEM: 0.3}
    try:
        with server.post("answer", {"messages": QUESTION}, stream=True) as response:
            lines = (line for line in response.iter_lines() if line)
            began = time.monotonic()
            assert [json.loads(next(lines)[6:]) for _ in range(2)] == [{"version": "3"}, {"text": "The "}]
            assert time.monotonic() - began < 0.75, "the whole answer was waited for"
        deadline = time.monotonic() + 5
        while STEM not in server.gateway.broken_off and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        server.gateway.pauses = {}
    assert server.gateway.broken_off == [STEM]


def test_nothing_before_the_vote_depends_on_the_order_of_the_sides(server: Server) -> None:
    server.gateway.pauses = {f"{STEM}@previous": 0.02}
    by_order: dict[str, requests.Response] = {}
    for _ in range(24):
        response = server.compare()
        first = events(response)[0]["a"] + events(response)[1]["a"]
        by_order["champion" if "lamp" in first else "previous"] = response
        if len(by_order) == 2:
            break
    server.gateway.pauses = {}
    one, other = by_order["champion"], by_order["previous"]
    fixed = [{name: value for name, value in each.headers.items() if name != "date"} for each in (one, other)]
    assert fixed[0] == fixed[1]
    assert not [name for name in one.headers if "ghostwriter" in name.lower()]
    steps, swapped = events(one), [{"a": step.get("b"), "b": step.get("a")} for step in events(other)]
    assert [list(step) for step in steps] == [["a", "b"]] * 3 + [["vote"]] == [list(step) for step in events(other)]
    assert steps[:3] == swapped[:3]
    assert all(step["a"] and step["b"] for step in steps[:3]), "a step of the slower one alone tells which it is"
    assert len(one.content) == len(other.content)
    assert not re.search(r"champion|previous|chatcmpl|laocheng|digest", one.text)


def test_the_longer_answer_goes_on_alone(server: Server) -> None:
    steps = events(server.compare("champion", "base"))
    assert sorted("".join(step.get(letter, "") for step in steps) for letter in "ab") == [
        "As a model, I cannot burn oil.",
        "The lamp\u2028 burns.",
    ]


def test_names_come_with_the_vote_and_a_second_one_is_refused(server: Server) -> None:
    *steps, sealed = events(server.compare())
    vote = {"comparison": sealed["vote"], "choice": "b"}
    named = server.post("vote", vote).json()
    lamp = "a" if "lamp" in "".join(step["a"] for step in steps) else "b"
    assert named[lamp] == {"asked": "champion", "version": "3"}
    assert named["b" if lamp == "a" else "a"] == {"asked": "previous", "version": "2"}
    again = server.post("vote", vote)
    assert (again.status_code, "There is a vote" in again.json()["error"]) == (409, True)
    assert server.post("vote", {**vote, "comparison": sealed["vote"][:-6] + "AAAA=="}).status_code == 400
    assert server.post("vote", vote, stem=KEPT).status_code == 400, "a vote on another writer's answers"


def test_a_chat_is_kept_only_where_the_writer_file_says_so(server: Server) -> None:
    server.answer()
    server.answer(stem=KEPT)
    engine = open_database(server.home.database_url)
    assert all_chats(engine, STEM) == []
    kept = all_chats(engine, KEPT)
    engine.dispose()
    assert [(row.who, row.text, row.version, json.loads(row.messages)) for row in kept] == [("ann", "Kept.", "3", QUESTION)]


@pytest.mark.parametrize(
    ("refusal", "status", "words"),
    [
        ((429, {"message": "Too many at once."}, {"Retry-After": "7"}), 429, "Too many at once."),
        ((401, {"message": "Incorrect API key sk-serving-1."}, {}), 502, "serving_key: it was made with another one"),
        ((400, {"message": "This is 9000 tokens, 4096 fit.", "code": "context_length_exceeded"}, {}), 400, "9000 tokens"),
        ((503, {"message": "v3 cannot be loaded: cut file."}, {}), 503, "cut file"),
    ],
)
def test_what_the_gateway_refuses_is_said(server: Server, refusal: Any, status: int, words: str) -> None:
    server.gateway.refusals = [refusal]
    response = server.post("answer", {"messages": QUESTION})
    assert (response.status_code, words in response.json()["error"]) == (status, True)
    assert response.headers.get("Retry-After") == refusal[2].get("Retry-After")
    assert "sk-serving-1" not in response.text


def test_a_version_that_is_being_loaded_is_waited_for(server: Server) -> None:
    loading = (503, {"message": "Being loaded.", "code": "model_loading"}, {"Retry-After": "0.2"})
    server.gateway.refusals = [loading, loading]
    assert server.answer()[-1] == {"end": "stop"}


def test_a_comparison_of_which_one_side_is_refused_is_none(server: Server) -> None:
    response = server.compare("champion", "v9")
    assert (response.status_code, response.json()["error"]) == (404, "There is no model 'laocheng@v9'.")


def test_an_answer_that_breaks_off_says_so_and_leaves_nothing_to_vote_on(server: Server) -> None:
    server.gateway.cut = True
    broken = server.answer()[-1], events(server.compare())[-1]
    server.gateway.cut = False
    assert broken == ({"error": "The answer ended in the middle. Ask again."},) * 2


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "x"}]},
        {"messages": [{"role": "system", "content": "x"}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"messages": [{"role": "user", "content": "x" * 200_001}]},
        {"messages": QUESTION, "version": "../keeper"},
        {"messages": QUESTION, "model": "x"},
    ],
    ids=["none", "no question", "system", "empty", "long", "another writer", "unknown"],
)
def test_what_is_no_question_never_reaches_the_gateway(server: Server, body: dict[str, Any]) -> None:
    before = len(server.gateway.requests)
    assert server.post("answer", body).status_code == 422
    assert len(server.gateway.requests) == before


def test_another_sites_page_cannot_ask_or_vote(server: Server) -> None:
    before = len(server.gateway.requests)
    for site in ("cross-site", "same-site"):
        assert server.post("answer", {"messages": QUESTION}, headers={"Sec-Fetch-Site": site}).status_code == 403
    form = requests.post(f"{server.url}/chat/{STEM}/answer", data=json.dumps({"messages": QUESTION}), timeout=60)
    assert form.status_code == 422, "a form of another site can send no JSON"
    assert len(server.gateway.requests) == before


def test_a_writer_one_may_not_see_is_not_there(server: Server) -> None:
    assert requests.get(f"{server.url}/chat/nobody", timeout=60).status_code == 404
    assert server.post("answer", {"messages": QUESTION}, stem="nobody").status_code == 404


@pytest.mark.parametrize(("language", "words"), [("en", "the person never said it"), ("zh", "本人也从未说过")])
def test_the_page_says_what_answers_what_is_kept_and_runs_our_script_only(server: Server, language: str, words: str) -> None:
    response = requests.get(f"{server.url}/chat/{STEM}", headers={"Accept-Language": language}, timeout=60)
    page = response.content.decode()
    assert words in page
    assert {"en": "Chats are not kept.", "zh": "对话不保存"}[language] in page
    assert "script-src 'self';" in response.headers["Content-Security-Policy"]
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/ghostwriter/chat.js" defer>']
    assert not re.search(r"""\son\w+=["']""", page.replace(HOSTILE, ""))
    assert HOSTILE not in page
    assert "What of &lt;img" in page
    assert {"en": "MLflow does not run here", "zh": "这里没有运行 MLflow"}[language] in page
    script = requests.get(f"{server.url}/chat.js", timeout=60)
    assert script.headers["Content-Type"].startswith("text/javascript")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacent|eval\(|document\.write", script.text)


def test_a_vote_that_was_answered_outlives_a_kill_at_once(server: Server) -> None:
    engine = open_database(server.home.database_url)
    before = len(all_votes(engine, STEM))
    sealed = events(server.compare())[-1]["vote"]
    assert server.post("vote", {"comparison": sealed, "choice": "tie"}).status_code == 200
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    votes = all_votes(engine, STEM)
    engine.dispose()
    assert len(votes) == before + 1
    assert (votes[-1].choice, votes[-1].who, json.loads(votes[-1].messages)) == ("tie", "ann", QUESTION)
    assert {votes[-1].digest_a, votes[-1].digest_b} == {"digest of 3", "digest of 2"}
