"""Before a promotion the gateway is asked whether it can serve the candidate, over HTTP; its word is a limit of the gate."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from ghostwriter.judging.gate import decide
from ghostwriter.judging.serving import Candidate, GatewayPort, ServingSilent, Tried
from ghostwriter.writer_settings import Gate
from tests.ghostwriter.judging.evaluations import evaluation
from tests.training.tracking.mlflow_server import free_port

CANDIDATE = Candidate(writer="odessa", run_id="r", digest="0" * 64, base="tiny", revision=None, questions=("Why?",))


class Gateway(ThreadingHTTPServer):
    """Gives these answers, one after the other, and keeps what it was asked."""

    def __init__(self, *answers: tuple[int, dict[str, Any]]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers, self.asked = list(answers), list[tuple[str, str | None, Any]]()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        status, answer = self.server.answers.pop(0)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_arguments: Any) -> None:
        """Nothing."""


@pytest.fixture
def served() -> Iterator[Gateway]:
    with Gateway((200, {"state": "loading", "why": ""}), (200, {"state": "served", "why": ""})) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield server
        server.shutdown()


def test_a_candidate_is_asked_about_until_it_is_decided(served: Gateway) -> None:
    pauses = list[float]()
    assert GatewayPort(served.url, "the-key", pauses.append).tried(CANDIDATE) == Tried(state="served")
    assert len(pauses) == 1
    asked = ("/v1/ghostwriter/candidates", "Bearer the-key", json.loads(CANDIDATE.model_dump_json()))
    assert served.asked == [asked, asked]


def test_a_gateway_that_does_not_know_the_writer_or_is_no_gateway_is_silent(served: Gateway) -> None:
    served.answers = [(404, {"error": {"message": "There is no model 'odessa'."}}), (200, {"hello": "world"})]
    with pytest.raises(ServingSilent, match=r"answers 404: .*no model 'odessa'"):
        GatewayPort(served.url).tried(CANDIDATE)
    with pytest.raises(ServingSilent, match="does not answer as it should"):
        GatewayPort(served.url).tried(CANDIDATE)


def test_without_a_gateway_the_task_says_what_to_start_and_can_run_again() -> None:
    with pytest.raises(ServingSilent, match="python -m ghostwriter serve") as silent:
        GatewayPort(f"http://127.0.0.1:{free_port()}/v1").tried(CANDIDATE)
    assert silent.value.retryable


def test_a_candidate_that_cannot_be_served_is_not_promoted() -> None:
    refused = decide(evaluation(), Gate(), tried=Tried(state="refused", why="The adapter has modules_to_save = ['lm_head']."))
    assert not refused.promote
    assert refused.summary == "Not promoted: it cannot be served (The adapter has modules_to_save = ['lm_head'])."


def test_one_that_can_be_served_is_promoted_for_what_it_gained() -> None:
    decision = decide(evaluation(), Gate(), tried=Tried(state="served"))
    assert decision.promote
    assert "yes  served: the serving engine answers as plain peft does" in decision.reasons
    assert "served" not in [check.measure for check in decide(evaluation(), Gate()).limits]  # who was not asked limits nothing
