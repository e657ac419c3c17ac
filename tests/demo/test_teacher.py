"""The demo's teacher over HTTP: recorded answers first, the live model for all else; and distilling from it."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from demo.recording import Recording
from demo.teacher import MODEL, RECORDED, RECORDING, TeacherServer, completion
from ghostwriter.distilling.distill import distill
from ghostwriter.home import Home
from ghostwriter.snapshot import read_manifest, read_rows
from ghostwriter.teacher.client import Endpoint
from ghostwriter.writer import load_writer
from tests.distill_case import answers_of, demo_pairs

KNOWN = "Can I freeze milk and still drink it?"


class Live(BaseHTTPRequestHandler):
    """Stands where llama.cpp's server is: its answer is what it was asked."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        body = json.dumps(completion(asked)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def serving(server: ThreadingHTTPServer) -> Iterator[str]:
    """Serve in a thread; gives the address."""
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def teacher() -> Iterator[str]:
    """The address of the demo's teacher."""
    with (
        serving(ThreadingHTTPServer(("127.0.0.1", 0), Live)) as live,
        serving(TeacherServer(("127.0.0.1", 0), Recording(RECORDING), live)) as address,
    ):
        yield address


def ask(teacher: str, model: str, question: str) -> str:
    """The text of the teacher's answer."""
    messages = [{"role": "user", "content": f"Examples.\n\nQuestion: {question}"}]
    status, reply = post(teacher, {"model": model, "messages": messages})
    assert status == 200
    return str(reply["choices"][0]["message"]["content"])


def post(teacher: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(f"{teacher}/v1/chat/completions", json.dumps(body).encode())
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_a_recorded_question_gets_its_answers_and_then_the_live_models(teacher: str) -> None:
    answers = [ask(teacher, RECORDED, KNOWN + " " * number) for number in range(5)]
    recorded = [answer for answer in answers if answer.startswith(("Yes", "Certainly", "You can"))]
    assert len(set(answers)) == 5
    assert "Keeper's rule:" in recorded[0]
    live = json.loads(answers[-1])
    assert (live["model"], live["max_tokens"], live["stop"]) == (MODEL, 160, ["\n\n", "\nQuestion"])
    with urllib.request.urlopen(f"{teacher}/health", timeout=10) as reply:
        counts = json.load(reply)
    assert counts["recorded"] + counts["live"] == 5
    assert counts["live"] >= 1


def test_a_question_nobody_recorded_and_the_live_models_own_name_go_to_the_live_model(teacher: str) -> None:
    assert json.loads(ask(teacher, RECORDED, "Where do gulls sleep?"))["model"] == MODEL
    assert json.loads(ask(teacher, MODEL, KNOWN))["model"] == MODEL


@pytest.mark.parametrize("body", [[], {}, {"messages": []}, "no"])
def test_what_is_no_request_is_refused_in_words(teacher: str, body: object) -> None:
    status, reply = post(teacher, body)
    assert status == 400
    assert "no chat completion's request" in reply["error"]["message"]


def test_the_demos_writer_gets_four_hundred_recorded_answers(teacher: str, tmp_path: Path) -> None:
    home, writer = Home(tmp_path), load_writer("lamplight")
    endpoint = Endpoint(base_url=f"{teacher}/v1", key=SecretStr("demo-needs-no-key"))
    folder = distill(writer, home, answers_of(home, demo_pairs("lamplight")), endpoint)
    facts = read_manifest(folder).facts
    counts = facts["counts"]
    assert facts["split"] == "list demo/heldout.txt"
    assert counts["accepted"] == 400
    assert not counts["failed"]
    rows = read_rows(folder, "distilled.jsonl")
    assert {row["model"] for row in rows} == {RECORDED}
    assert f"teacher `{RECORDED}`" in (folder / "README.md").read_text(encoding="utf-8")
    recorded = {json.loads(line)["answer"] for line in RECORDING.read_text(encoding="utf-8").splitlines()}
    assert all(row["messages"][1]["content"] in recorded for row in rows)
