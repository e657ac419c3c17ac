"""A whole installation for the browser's and the chain's tests: real Airflow, MLflow, site and teacher over HTTP, a tiny random model."""

import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
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
from ghostwriter.launch import training_python
from ghostwriter.writer import Writer, load_writer
from tests.teacher_server import KEY, TeacherScript, TeacherServer

STEM, ACCOUNT = "lamplight", "odessa-lamplight"
COOKIE = "z_c0=cookie-5d1f0c6e; d_c0=device-77aa31"
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
[training]
recipe = "tiny"
[evaluation]
questions = 4
max_new_tokens = 16
[gate]
max_rep4_rise = 1
max_unfinished_share = 1
"""
STAGES = ("collect", "distill", "train", "rollback")


@dataclass
class World:
    """Everything that runs, and the writer it runs for."""

    api: AirflowApi
    client: MlflowClient
    home: Home
    writer: Writer
    writers: Path
    teacher: TeacherServer
    supervisor: Supervisor
    stack: Stack

    def go(self) -> Loop:
        """One pass through the loop."""
        return follow(Console(force_terminal=False), self.api, self.writer, self.supervisor)

    def add_writer(self, stem: str, text: str) -> None:
        """A further writer file; returns once its DAGs run."""
        (self.writers / f"{stem}.toml").write_text(text)
        self.switch_on([f"{stem}_{stage}" for stage in STAGES])

    def switch_on(self, dags: list[str]) -> None:
        """Wait until Airflow knows these DAGs, and let them run."""
        wait_until(lambda: all(self.api.has_dag(dag) for dag in dags), 90, "Parsing the DAGs")
        for dag in dags:
            self.api.unpause(dag)


@contextmanager
def running_world(home: Home, writers: Path, ports: Ports) -> Iterator[World]:
    """The installation on an empty home folder, until the block ends."""
    saved = dict(os.environ)
    (writers / f"{STEM}.toml").write_text(WRITER_FILE)
    _set_environment({"GHOSTWRITER_HOME": str(home.path), "GHOSTWRITER_WRITERS": str(writers)})
    subprocess.run([training_python(), ROOT / "tests" / "tiny_model.py", home.models / "tiny-random-qwen2"], check=True, timeout=120)
    try:
        with ExitStack() as running:
            site = running.enter_context(Site(ACCOUNT, load_corpus(ROOT / "demo" / "corpus" / f"{STEM}.jsonl", ACCOUNT)))
            teacher = running.enter_context(TeacherServer(TeacherScript()))
            supervisor = running.enter_context(Supervisor(home.path))
            stack = Stack(home, ports, supervisor)
            stack.start()
            api = AirflowApi(stack.airflow_url, stack.password())
            make_pools(api)
            api.put_connection("site", "http", site.url, COOKIE)
            api.put_connection("teacher", "http", teacher.base_url, KEY)
            world = World(api, MlflowClient(stack.mlflow_url), home, load_writer(STEM), writers, teacher, supervisor, stack)
            world.switch_on([*(f"{STEM}_{stage}" for stage in STAGES), "multiplication"])
            yield world
    finally:
        os.environ.clear()
        os.environ.update(saved)


def free_port() -> int:
    """A port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _set_environment(values: Mapping[str, str]) -> None:
    os.environ.update(values)
    for name in ("AIRFLOW_HOME", "AIRFLOW__CORE__UNIT_TEST_MODE"):
        os.environ.pop(name, None)
