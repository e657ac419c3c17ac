"""A whole installation for the tests of this folder: real Airflow, MLflow, site and teacher over HTTP, a tiny random model."""

import json
import os
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from rich.console import Console

from demo.follow import Loop, follow
from demo.site import Site, load_corpus
from ghostwriter.commands.up import make_pools
from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.embedded.services import Supervisor, wait_until
from ghostwriter.embedded.stack import Ports, Stack
from ghostwriter.home import ROOT, Home
from ghostwriter.launchers.local import training_python
from ghostwriter.writer import Writer, load_writer
from tests.e2e.inboxes import WEBHOOK_SECRET, Inboxes, open_inboxes
from tests.gateway_server import GatewayServer
from tests.teacher_server import KEY, TeacherScript, TeacherServer

STEM, ACCOUNT = "lamplight", "odessa-lamplight"
COOKIE = "z_c0=cookie-5d1f0c6e; d_c0=device-77aa31"
SECRETS = (KEY.encode(), b"cookie-5d1f0c6e", b"device-77aa31", WEBHOOK_SECRET.encode())
WRITER_FILE = """
name = "Odessa Lamplight"
language = "en"
[source]
kind = "zhihu"
account = "odessa-lamplight"
connection = "site"
pace_seconds = 0
[teacher]
connection = "teacher"
model = "test-teacher"
answers = 24
[budget]
input_price = 0.27
output_price = 1.10
cap = 5
[training]
recipe = "tiny"
[evaluation]
questions = 4
max_new_tokens = 16
cut_answers = true
[gate]
min_questions = 4
max_rep4_rise = 1
max_unfinished_share = 1
max_empty_share = 1
min_length_ratio = 0
max_style_drop = 9
max_ability_drop = 1
max_ability_loss_rise = 9
"""
NIGHTLY = '[schedule]\ncron = "* * * * * */20"\n'
"""A night every twenty seconds: the sixth field of a cron expression is seconds."""
BY_HAND = '[schedule]\ncron = ""\n'
NEIGHBOUR = "dusk"
"""A second writer with the same answers, collected on the same nights."""
NOTIFY = '[notify]\nmail = "post"\nto = ["owner@example.org"]\nwebhook = "hook"\n'
"""Of the neighbour only: messages are off by default."""
NEIGHBOUR_FILE = WRITER_FILE.replace("Odessa Lamplight", "Dusk & Dawn") + NOTIFY
RESTLESS = "restless"
RESTLESS_FILE = """
name = "Restless"
language = "en"
[source]
kind = "jsonl"
account = "{folder}/restless.jsonl"
[teacher]
connection = "teacher"
model = "test-teacher"
[schedule]
cron = "* * * * * */2"
"""
"""A writer whose nights are shorter than what is done in them."""
STAGES = ("collect", "distill", "train", "compare", "rollback")


CHAMPION_ANSWER = "<b>The lamp</b> burns.<img src=x onerror=alert(1)>"
BASE_ANSWER = "As a model, I burn nothing."


@dataclass
class World:
    """Everything that runs, and the writer it runs for."""

    api: AirflowApi
    client: MlflowClient
    home: Home
    writer: Writer
    writers: Path
    site: Site
    teacher: TeacherServer
    inboxes: Inboxes
    gateway: GatewayServer
    supervisor: Supervisor
    stack: Stack

    def go(self) -> Loop:
        """One pass through the loop."""
        return follow(Console(force_terminal=False), self.api, self.writer, self.supervisor)

    def write(self, stem: str, text: str) -> None:
        """A writer file; Airflow reads it within some ten seconds."""
        (self.writers / f"{stem}.toml").write_text(text)

    def switch_on(self, dags: Iterable[str]) -> None:
        """Wait until Airflow knows these DAGs, and let them run."""
        dags = list(dags)
        wait_until(lambda: all(self.api.has_dag(dag) for dag in dags), 90, "Parsing the DAGs")
        for dag in dags:
            self.api.unpause(dag)

    def states(self, dag: str, run_id: str) -> dict[str, str | None]:
        """The state of each task of a run."""
        return {task["task_id"]: task["state"] for task in self.api.tasks(dag, run_id)}


@contextmanager
def running_world(home: Home, writers: Path, ports: Ports) -> Iterator[World]:
    """The installation on an empty home folder, until the block ends."""
    saved = dict(os.environ)
    (writers / f"{STEM}.toml").write_text(WRITER_FILE + NIGHTLY)
    (writers / f"{NEIGHBOUR}.toml").write_text(NEIGHBOUR_FILE + NIGHTLY)
    (writers / f"{RESTLESS}.toml").write_text(RESTLESS_FILE.format(folder=writers))
    (writers / f"{RESTLESS}.jsonl").write_text('{"id": "1", "question": "Why?", "answer": "Because it is so, and was so before."}\n')
    os.environ.update(GHOSTWRITER_HOME=str(home.path), GHOSTWRITER_WRITERS=str(writers))
    for name in ("AIRFLOW_HOME", "AIRFLOW__CORE__UNIT_TEST_MODE"):
        os.environ.pop(name, None)
    subprocess.run([training_python(), ROOT / "tests" / "tiny_model.py", home.models / "tiny-random-qwen2"], check=True, timeout=120)
    try:
        with ExitStack() as running:
            site = running.enter_context(Site(ACCOUNT, load_corpus(ROOT / "demo" / "corpus" / f"{STEM}.jsonl", ACCOUNT)))
            teacher = running.enter_context(TeacherServer(TeacherScript()))
            gateway = running.enter_context(GatewayServer({STEM: re.findall(".{1,12}", CHAMPION_ANSWER), f"{STEM}@base": [BASE_ANSWER]}))
            os.environ["GHOSTWRITER_SERVING_URL"] = gateway.url
            inboxes = running.enter_context(open_inboxes(free_port()))
            supervisor = running.enter_context(Supervisor(home.path))
            stack = Stack(home, ports, supervisor)
            stack.start()
            api = AirflowApi(stack.airflow_url, stack.password())
            make_pools(api)
            api.put_connection("site", "http", site.url, COOKIE)
            api.put_connection("teacher", "http", teacher.base_url, KEY)
            no_encryption = json.dumps({"from_email": "airflow@example.org", "disable_ssl": True, "disable_tls": True})
            api.put_connection("post", "smtp", "127.0.0.1", "", port=inboxes.mail_port, extra=no_encryption)
            api.put_connection("hook", "http", inboxes.hook_url, WEBHOOK_SECRET)
            world = World(
                api, MlflowClient(stack.mlflow_url), home, load_writer(STEM), writers, site, teacher, inboxes, gateway, supervisor, stack
            )
            world.switch_on(
                [*(f"{stem}_{stage}" for stem in (STEM, NEIGHBOUR) for stage in STAGES if stage != "collect"), "multiplication"]
            )
            yield world
    finally:
        os.environ.clear()
        os.environ.update(saved)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
