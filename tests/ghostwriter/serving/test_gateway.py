"""The gateway on the real engine: llama.cpp, versions in a real MLflow, exports by the training side, of a tiny model."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from openai import OpenAI

from ghostwriter.home import ROOT
from ghostwriter.judging.promote import adapter_digest
from ghostwriter.judging.serving import Candidate, GatewayPort, Tried
from ghostwriter.launchers.local import YIELDING, training_python
from tests.ghostwriter.serving.rig import PLANTED, QUESTIONS, STEM, UNORDERED, Gateway, Rig, Training, has_ended, line, wait
from tests.training.tracking.mlflow_server import free_port, mlflow_server

POLL = 0.5
MOST = 10
STREAMS = 8
OWN = {**os.environ, "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}"}


LOAD = """
import sys
sys.path = [entry for entry in sys.path if entry not in ("", {root!r}, {root!r} + "/plugins")]
import importlib.util
assert not any(importlib.util.find_spec(name) for name in ("training", "ghostwriter"))
import mlflow, pandas
mlflow.set_tracking_uri({uri!r})
model = mlflow.pyfunc.load_model("models:/ghostwriter-lamplight@champion")
greedy = model.predict(pandas.DataFrame({{"question": ["Why?", "How?"]}}), params={{"temperature": 0.0, "max_new_tokens": 8}})
sampled = [model.predict(pandas.DataFrame({{"question": ["Why?"]}})) for _ in range(2)]
print(len(greedy), type(greedy[0]).__name__, sampled[0] == sampled[1], len(sampled[0][0]) > 0)
"""


class World:
    """A gateway that serves version 2, with 1 before it; `connection` is its way to MLflow."""

    def __init__(self, rig: Rig, gateway: Gateway, connection: ExitStack, port: int, uri: str) -> None:
        self.rig, self.gateway, self.connection, self._port, self._uri = rig, gateway, connection, port, uri
        self.greedy = {
            version: [gateway.ask(question, f"{STEM}@v{version}").json()["choices"][0]["message"]["content"] for question in QUESTIONS]
            for version in ("1", "2")
        }

    def reconnect(self) -> None:
        """Let the gateway reach MLflow again."""
        self.connection.enter_context(line(self._port, self._uri))


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Iterator[World]:
    folder, port = tmp_path_factory.mktemp("serving"), free_port()
    shutil.copyfile(empty_store, folder / "mlflow.db")
    training = Training()  # it imports torch while MLflow starts
    with mlflow_server(folder) as uri, Rig(folder, uri, training=training) as rig, ExitStack() as connection:
        rig.plant(good=3)
        rig.export("good1", "good2", "good3", UNORDERED)
        assert [rig.promote("good1"), rig.promote("good2")] == ["1", "2"]
        old_log = rig.home.path / "logs" / "serving" / "lamplight-of-last-year.log"
        old_log.parent.mkdir(parents=True)
        old_log.write_text("")
        os.utime(old_log, (0, 0))
        connection.enter_context(line(port, uri))
        rig.uri = f"http://127.0.0.1:{port}"
        with rig.gateway("--poll", str(POLL), "--most", str(MOST)) as gateway:
            gateway.serves("2")
            wait(lambda: gateway.standing()["previous"] == "1", 30, "the version before")
            yield World(rig, gateway, connection, port, uri)


def test_any_client_of_openai_gets_the_champions_answer(world: World) -> None:
    client = OpenAI(base_url=world.gateway.url, api_key="none")
    raw = client.chat.completions.with_raw_response.create(
        model=STEM, messages=[{"role": "user", "content": QUESTIONS[0]}], temperature=0, max_tokens=24
    )
    answer = raw.parse()
    assert answer.choices[0].message.content == world.greedy["2"][0] != world.greedy["1"][0]
    assert answer.model == f"{STEM}@v2"
    assert raw.headers["X-Ghostwriter-Version"] == "2"
    assert raw.headers["X-Ghostwriter-Digest"] == adapter_digest(world.rig.adapters / "good2")
    assert {f"{STEM}", f"{STEM}@previous", f"{STEM}@base", f"{STEM}@v1", f"{STEM}@v2"} <= {model.id for model in client.models.list()}
    pieces = client.chat.completions.create(
        model=f"{STEM}@previous",
        messages=[{"role": "user", "content": QUESTIONS[0]}],
        temperature=0,
        max_tokens=24,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(pieces)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == world.greedy["1"][0]
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens <= 24


def test_no_stream_is_dropped_or_mixed_while_the_champion_moves(world: World) -> None:
    is_over = False

    def talk(number: int) -> list[str]:
        question, faults = number % len(QUESTIONS), []
        while not is_over:
            found = world.gateway.stream(QUESTIONS[question])
            if found.status != 200 or not found.is_done or found.error:
                faults.append(f"{found.status} {found.error}")
            elif found.text != world.greedy[found.version][question] or found.models != {f"{STEM}@v{found.version}"}:
                faults.append(f"version {found.version} said {found.text!r}")
            seen.add(found.version)
        return faults

    seen = set[str]()
    with ThreadPoolExecutor(STREAMS) as pool:
        talking = [pool.submit(talk, number) for number in range(STREAMS)]
        try:
            engines = {engine.pid for engine in world.gateway.engines()}
            for version in ("1", "2", "1"):
                world.rig.roll_back()
                world.gateway.serves(version, 30)
                time.sleep(0.3)
            assert {engine.pid for engine in world.gateway.engines()} == engines  # both were loaded: nothing was to be started
        finally:
            is_over = True
        assert [fault for each in talking for fault in each.result()] == []
    assert seen == {"1", "2"}
    world.rig.roll_back()
    world.gateway.serves("2", 30)


def test_too_many_requests_are_told_when_to_ask_again(world: World) -> None:
    engines = world.gateway.engines()
    for engine in engines:
        engine.suspend()
    with ThreadPoolExecutor(MOST + 1) as pool:
        asking = [pool.submit(world.gateway.ask, QUESTIONS[0]) for _ in range(MOST + 1)]
        wait(lambda: any(each.done() for each in asking), 20, "an answer")
        for engine in engines:
            engine.resume()
        answers = [each.result() for each in asking]
    assert sorted(answer.status_code for answer in answers) == [200] * MOST + [429]
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["error"]["code"] == "too_many_requests"


def test_whoever_leaves_takes_the_request_along(world: World) -> None:
    class Gone(Exception):
        pass

    def leave(_pieces: int) -> None:
        raise Gone

    for _ in range(MOST + 2):
        with pytest.raises(Gone):
            world.gateway.stream(QUESTIONS[0], on_piece=leave, max_tokens=2000)
    wait(lambda: world.gateway.ask(QUESTIONS[0]).status_code == 200, 5, "an answer")


def test_a_conversation_that_is_too_long_is_refused_in_words(world: World) -> None:
    refused = world.gateway.ask("word " * 6000)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")
    assert "4096 is the most" in refused.json()["error"]["message"]
    assert world.gateway.ask("w" * 2**20).status_code == 413
    assert world.gateway.ask("w", f"{STEM}@v9").status_code == 404


def test_an_engine_that_is_killed_ends_its_stream_with_an_error_and_is_back_soon(world: World) -> None:
    long = next(
        text for text in map(str, range(50)) if world.gateway.ask(text, max_tokens=2000).json()["usage"]["completion_tokens"] == 2000
    )
    engines, killed = world.gateway.engines(), [0.0]

    def kill(pieces: int) -> None:
        if pieces == 3:
            killed[0] = time.monotonic()
            for engine in engines:
                engine.kill()

    found = world.gateway.stream(long, max_tokens=2000, on_piece=kill)
    assert time.monotonic() - killed[0] < 1
    assert (found.status, found.is_done) == (200, False)
    assert found.error and found.error["code"] == "engine_failed"
    assert world.gateway.ask(QUESTIONS[0]).json()["choices"][0]["message"]["content"] == world.greedy["2"][0]
    assert time.monotonic() - killed[0] < 10


def test_a_conversation_in_a_terminal(world: World) -> None:
    lines = ["/version", QUESTIONS[0], "/version", "/retry", "/stop", "/quit", "never asked"]
    command = [
        sys.executable,
        "-m",
        "ghostwriter",
        "chat",
        f"{STEM}@previous",
        "--url",
        world.gateway.url,
        "--home",
        str(world.rig.home.path),
    ]
    done = subprocess.run(command, input="\n".join(lines), cwd=ROOT, env=OWN, capture_output=True, text=True, check=True)
    assert "imitates how one person writes" in done.stdout.replace("\n", " ")
    assert "it has not answered yet" in done.stdout
    assert f"the last answer was by version 1 ({adapter_digest(world.rig.adapters / 'good1')[:12]})" in done.stdout.replace("\n", " ")
    assert "Nothing is being answered." in done.stdout
    assert not done.stderr


def test_mlflow_loads_the_champion_where_nothing_of_ghostwriter_is(world: World, tmp_path: Path) -> None:
    own = {**os.environ, **YIELDING, "GHOSTWRITER_BASE": str(world.rig.adapters / "models" / "tiny"), "PYTHONPATH": ""}
    code = LOAD.format(root=str(ROOT), uri=world.rig.uri)
    done = subprocess.run([str(training_python()), "-c", code], cwd=tmp_path, env=own, capture_output=True, text=True)
    assert done.stdout.split() == ["2", "str", "True", "True"], done.stderr[-2000:]
    listed = world.rig.client.search_logged_models([world.rig.experiment])
    assert sorted(model.tags["adapter_sha256"] for model in listed) == sorted(
        adapter_digest(world.rig.adapters / name) for name in ("good1", "good2")
    )


def test_while_mlflow_is_away_everything_answers_on(world: World) -> None:
    world.connection.close()
    wait(lambda: world.gateway.health()["registry"]["is_stale"], 20, "health to say so")
    assert "cannot be reached" in world.gateway.health()["registry"]["why"]
    assert world.gateway.ask(QUESTIONS[1]).json()["choices"][0]["message"]["content"] == world.greedy["2"][1]
    world.reconnect()
    wait(lambda: not world.gateway.health()["registry"]["is_stale"], 20, "MLflow to be back")


@pytest.mark.parametrize("name", ["cut-file", UNORDERED])  # one that cannot be exported, and one that the engine answers wrongly for;
# `benchmarks/serving.py` plants all six, each of which takes a start of torch
def test_a_planted_adapter_is_refused_and_the_one_before_answers_on(world: World, name: str) -> None:
    version = world.rig.promote(name)
    assert re.search(PLANTED[name], world.gateway.refuses(version, 60))
    answer = world.gateway.ask(QUESTIONS[2])
    assert (answer.headers["X-Ghostwriter-Version"], answer.json()["choices"][0]["message"]["content"]) == ("2", world.greedy["2"][2])
    assert world.gateway.ask(QUESTIONS[2], f"{STEM}@v{version}").json()["error"]["code"] == "model_unavailable"
    assert world.rig.roll_back() == "2"
    wait(lambda: world.gateway.standing()["failed"] is None, 20, "the failure to be over")


def test_a_candidate_is_tried_before_its_promotion_and_answers_right_after_it(world: World) -> None:
    digest, run = adapter_digest(world.rig.adapters / "good3"), world.rig.log("good3")
    port = GatewayPort(world.gateway.url, sleep=lambda _seconds: time.sleep(0.2))
    candidate = Candidate(writer=STEM, run_id=run, digest=digest, base="tiny", revision=None, questions=QUESTIONS)
    assert port.tried(candidate) == Tried(state="served")
    other = port.tried(candidate.model_copy(update={"digest": "0" * 64}))
    assert (other.state, "not the one that was judged" in other.why) == ("refused", True)
    version = world.rig.promote("good3")
    assert world.gateway.serves(version, 30) <= POLL + 1
    assert world.gateway.ask(QUESTIONS[0]).headers["X-Ghostwriter-Digest"] == digest


def test_nothing_that_was_asked_or_answered_stands_in_a_log(world: World) -> None:
    logs = [world.gateway.log, *(world.rig.home.path / "logs" / "serving").iterdir()]
    assert "lamplight-of-last-year.log" not in [path.name for path in logs]
    words = "".join(path.read_text(errors="replace") for path in logs)
    assert not any(question in words for question in QUESTIONS)
    assert "now answers as lamplight@v1" in words


def test_engines_end_with_a_gateway_that_is_killed(world: World) -> None:
    engines = world.gateway.engines()
    assert engines
    os.kill(world.gateway.process.pid, signal.SIGKILL)
    wait(lambda: all(has_ended(engine) for engine in engines), 10, "the engines' end")
