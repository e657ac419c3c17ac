"""`doctor`: one line for each thing a night needs: what is there, or what to do."""

import argparse
import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import requests

from ghostwriter.commands.first_hour.writer_file import RECIPES, first_page, fitting, gpus
from ghostwriter.commands.services import own_airflow
from ghostwriter.embedded.running import running
from ghostwriter.embedded.services import require_free_ports
from ghostwriter.embedded.stack import Ports
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import Home
from ghostwriter.launchers.local import training_python
from ghostwriter.teacher.client import Endpoint
from ghostwriter.teacher.trial import one_call
from ghostwriter.writer import Writer, load_writer, unreadable_writers, writer_stems
from training.contract import load_recipe

NEED_GIB = 20
"""A 7B base, its checkpoints and MLflow's copies."""
SECONDS = 10


class Bad(GhostwriterError):
    """Something a night needs is not there; the words say what to do."""

    code = "bad"


@dataclass(frozen=True)
class Finding:
    """One line: `is_good` is None for what is not needed."""

    what: str
    is_good: bool | None
    words: str

    def __str__(self) -> str:
        mark = {True: "ok  ", False: "BAD ", None: "--  "}[self.is_good]
        return f"{mark} {self.what:<12} {self.words}"


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `doctor`."""
    parser = commands.add_parser(
        "doctor",
        help="say in one line each what is there and what is missing; with WRITER one request to the site and one to the teacher are made",
    )
    parser.add_argument("writer", metavar="WRITER", nargs="?", help="look at this writer's connections, teacher and recipe as well")
    parser.add_argument("--home", type=Path, metavar="DIR", help="folder of all state (default: var/, or GHOSTWRITER_HOME)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Look at everything; 1 when something needed is missing."""
    home = Home(arguments.home.resolve()) if arguments.home else Home.default()
    is_well = True
    for finding in findings(home, arguments.writer):
        print(finding, flush=True)
        is_well = is_well and finding.is_good is not False
    return 0 if is_well else 1


def findings(home: Home, stem: str | None) -> Iterator[Finding]:
    """All lines, in the order in which things are needed."""
    yield _look("Python", _python)
    yield _look("disk", lambda: _disk(home))
    yield _look("training", lambda: f"{training_python()} works; {_gpu_words()}")
    yield _look("services", lambda: _services(home))
    yield _look("writer files", _writer_files)
    yield _docker()
    if stem is None:
        yield Finding("writer", None, "name one to have its connections, site, teacher and recipe tried, too: doctor WRITER")
        return
    yield (read := _look("writer", lambda: f"{load_writer(stem).name}: the file can be read"))
    if read.is_good:
        writer = load_writer(stem)
        yield _look("recipe", lambda: _recipe(writer))
        if named := _named(writer):
            own_airflow(home)
        yield _look("connections", lambda: _connections(named))
        yield _look("site", lambda: _site(writer))
        yield _look("teacher", lambda: _teacher(writer))


def _look(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except GhostwriterError as error:
        return Finding(what, False, str(error))


def _python() -> str:
    if sys.version_info[:2] != (3, 11):
        raise Bad(f"this is Python {sys.version.split()[0]}; 3.11 is needed: make clean install PYTHON=/path/to/python3.11")
    try:
        found = [f"{name} {version(package)}" for name, package in (("Airflow", "apache-airflow"), ("MLflow", "mlflow"))]
    except PackageNotFoundError as error:
        raise Bad(f"{error.name} is not installed in {sys.prefix}. Install it: make install") from None
    return f"{sys.version.split()[0]}, {' and '.join(found)} in {sys.prefix}"


def _disk(home: Home) -> str:
    home.check_space()
    free = shutil.disk_usage(home.path).free / 2**30
    enough = "" if free > NEED_GIB else f" (a 7B model needs {NEED_GIB})"
    return f"{free:.0f} GiB free in {home.path}{enough}"


def _gpu_words() -> str:
    found = gpus()
    return ", ".join(f"{name} with {memory:.0f} GiB" for name, memory in found) or "no GPU, so it trains on the CPU"


def _services(home: Home) -> str:
    if (found := running(home.path)) and found.airflow and found.mlflow:
        for name, url in (("Airflow", f"{found.airflow}/api/v2/monitor/health"), ("MLflow", f"{found.mlflow}/health")):
            _answering(name, url)
        return f"Airflow runs at {found.airflow}, MLflow at {found.mlflow}"
    if uri := os.environ.get("MLFLOW_TRACKING_URI", ""):
        if uri.startswith("http"):
            _answering("MLflow", f"{uri}/health")
        return f"MLflow at {uri} (MLFLOW_TRACKING_URI); Airflow of `make start` does not run"
    ports = Ports.from_environment()
    require_free_ports({"AIRFLOW_PORT": ports.airflow, "MLFLOW_PORT": ports.mlflow})
    return f"do not run; the ports {ports.airflow} and {ports.mlflow} are free for `make start`"


def _answering(name: str, url: str) -> None:
    try:
        status = requests.get(url, timeout=SECONDS).status_code
    except requests.RequestException as error:
        raise Bad(f"{name} does not answer at {url} ({type(error).__name__}). Restart it: make stop start") from None
    if status != 200:
        raise Bad(f"{name} at {url} answers {status}. Its log stands in the home folder's logs/.")


def _writer_files() -> str:
    for error in unreadable_writers().values():
        raise Bad(str(error))
    return f"{len(writer_stems())} can be read: {', '.join(writer_stems()) or 'make one with `new`'}"


def _docker() -> Finding:
    if not shutil.which("docker"):
        return Finding("Docker", None, "not installed; only `make up` needs it")
    done = subprocess.run(["docker", "info", "--format", "{{.ServerVersion}}"], capture_output=True, text=True, check=False)
    words = f"engine {done.stdout.strip()}" if done.returncode == 0 else "installed, but no engine answers; only `make up` needs it"
    return Finding("Docker", True if done.returncode == 0 else None, words)


def _recipe(writer: Writer) -> str:
    name = writer.training.recipe
    recipe, needed = load_recipe(name), dict(RECIPES).get(writer.training.recipe, 0)
    smallest = min((memory for _, memory in gpus()), default=0.0)
    if needed > smallest:
        there = f"this one has {smallest:.0f}" if smallest else "there is none"
        raise Bad(f"{name} is for a GPU of {needed} GiB or more, and {there}. Choose another recipe under [training]: {fitting(smallest)}.")
    return f"{name}: {recipe.base}, rank {recipe.rank}"


def _named(writer: Writer) -> list[str]:
    """The Airflow connections the writer file names, each once."""
    teacher = writer.asking(writer.mode).teacher.connection if writer.mode != "direct" else None
    judge = writer.judge.connection if writer.judge else None
    told = (writer.notify.mail, writer.notify.webhook) if writer.notify else ()
    return list(dict.fromkeys(name for name in (writer.source.connection, teacher, judge, *told) if name))


def _connections(named: list[str]) -> str:
    """Whether they exist; those of source and teacher are tried after this."""
    if not named:
        return "the writer file names none"
    from ghostwriter.tasks.connections import require_connections

    require_connections(named)
    return ", ".join(named)


def _site(writer: Writer) -> str:
    from ghostwriter.collecting.sources import open_source
    from ghostwriter.tasks.connections import site_access

    total = first_page(open_source(writer, pace=0, retry=False, **site_access(writer.source)))
    return f"{writer.source.kind} can be read: {'an unknown number of' if total is None else total} answers"


def _teacher(writer: Writer) -> str:
    if writer.mode == "direct":
        return "not asked: the writer's arm is direct"
    from ghostwriter.tasks.connections import teacher_endpoint

    settings = writer.asking(writer.mode).teacher
    endpoint: Endpoint = teacher_endpoint(settings.connection)
    parameters = {"model": settings.model, settings.token_limit: 16, **settings.parameters}
    return f"{settings.model} at {endpoint.base_url} answered: {asyncio.run(one_call(endpoint, parameters))}"
