"""What an earlier version left is gone on from: `.venv/bin/python -m tests.upgrade [COMMIT]`.

The earlier version, checked out beside this one, runs as its users ran it: a writer gets a champion, another's distilling waits
for a vendor's batch (a deferred task), and a training is killed halfway. Then this version starts on the same home folder: the
task wakes, the training ends as if it had never been killed, and nothing is collected, bought or trained again.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from demo.site import Site, load_corpus
from ghostwriter.embedded.airflow_api import AirflowApi
from ghostwriter.embedded.services import wait_until
from ghostwriter.home import ROOT, Home
from tests.batch_teacher import BatchTeacher
from tests.e2e.world import ACCOUNT, BY_HAND, COOKIE, STEM, WRITER_FILE, free_port
from tests.teacher_server import KEY, TeacherScript

BEFORE_ROOMS = "1e5e55d"
SINCE_THEN = "cut_answers = true\n"
"""What this version asks of such short answers, and the earlier one does not know."""
PATIENT = "patient"
PATIENT_FILE = WRITER_FILE.replace("Odessa Lamplight", "Patient").replace('model = "test-teacher"', 'model = "test-teacher"\nbatch = true')
CHAIN = ("collect", "distill", "train")
TRAINING_PYTHON = ROOT / ".venv-training" / "bin" / "python"
HOURS = 3600.0
"""How long the vendor works on a batch before it is told to have finished."""


def main() -> None:
    """Run the earlier version, then this one, and say what was seen. Raises AssertionError."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the checkout is removed: git would go on listing it
    commit = sys.argv[1] if len(sys.argv) > 1 else BEFORE_ROOMS
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        home, writers = Home(Path(folder) / "home"), Path(folder) / "writers"
        writers.mkdir()
        files = {STEM: WRITER_FILE + BY_HAND, PATIENT: PATIENT_FILE + BY_HAND}
        for stem, text in files.items():
            (writers / f"{stem}.toml").write_text(text.replace(SINCE_THEN, ""))
        earlier = running.enter_context(_checkout(commit, Path(folder) / "earlier"))
        ours = Path("plugins/ghostwriter/provider")  # Airflow finds it by this environment's entry points, whichever version runs
        shutil.copytree(ROOT / ours, earlier / ours, dirs_exist_ok=True)
        corpus = load_corpus(ROOT / "demo" / "corpus" / f"{STEM}.jsonl", ACCOUNT)
        site = running.enter_context(Site(ACCOUNT, corpus))
        teacher = running.enter_context(BatchTeacher(TeacherScript(batch_seconds=HOURS)))
        environment = _environment(home, writers)
        tiny_model = earlier / "tests" / "tiny_model.py"
        subprocess.run([TRAINING_PYTHON, tiny_model, home.models / "tiny-random-qwen2"], check=True, timeout=300)
        with _stack(earlier, home, environment) as api:
            api.put_connection("site", "http", site.url, COOKIE)
            api.put_connection("teacher", "http", teacher.base_url, KEY)
            waiting = _earlier_night(api)
        killed, whole = _half_trained(earlier, home)
        bought = teacher.completions
        print(f"{commit}: champion, deferred task, half a training; {bought} answers bought.")
        teacher.script.batch_seconds = 0
        for stem, text in files.items():
            (writers / f"{stem}.toml").write_text(text)
        with _stack(ROOT, home, environment) as api:
            _this_night(api, waiting, bought, teacher)
        for request in (killed, whole):
            said = _train(ROOT, request)
            print(f"{request.parent.name}: {next(line for line in said.splitlines() if 'step' in line)}")
        losses = [json.loads(_result(request).read_text())["last_loss"] for request in (killed, whole)]
        assert losses[0] == losses[1], losses
        print(f"The killed training ends on the loss of one that was not: {losses[0]}")
        champions = subprocess.run(
            [sys.executable, "-m", "ghostwriter", "champion", STEM],
            env={**environment, "MLFLOW_TRACKING_URI": f"sqlite:///{home.path}/mlflow/mlflow.db"},
            capture_output=True,
            text=True,
            check=True,
        )
        print(champions.stdout)


def _earlier_night(api: AirflowApi) -> str:
    """A whole night of one writer; the other's up to the batch. Returns the run that waits."""
    for stem in (STEM, PATIENT):
        for stage in CHAIN:
            wait_until(lambda dag=f"{stem}_{stage}": api.has_dag(dag), 180, f"{stem}_{stage}")
            api.unpause(f"{stem}_{stage}")
        api.trigger(f"{stem}_collect")
    wait_until(lambda: _states(api, f"{STEM}_train") == ["success"], 900, "A champion")
    wait_until(lambda: bool(api.runs(f"{PATIENT}_distill")), 300, "The second writer's distilling")
    run = str(api.runs(f"{PATIENT}_distill")[0]["dag_run_id"])
    wait_until(lambda: _waits(api, run) == "deferred", 300, "The deferred task")
    return run


def _this_night(api: AirflowApi, waiting: str, bought: int, teacher: BatchTeacher) -> None:
    wait_until(lambda: _waits(api, waiting) == "success", 300, "The deferred task's end")
    assert api.wait_finished(f"{PATIENT}_distill", waiting, 300) == "success"
    wait_until(lambda: _states(api, f"{PATIENT}_train") == ["success"], 900, "The second writer's champion")
    print("The deferred task woke, and its answers were trained on.")
    _judge_again(api)
    after_batch = teacher.completions
    run = api.trigger(f"{STEM}_distill")
    assert api.wait_finished(f"{STEM}_distill", run, 300) == "success"
    assert teacher.completions == after_batch, (bought, after_batch, teacher.completions)
    run = api.trigger(f"{STEM}_collect")
    assert api.wait_finished(f"{STEM}_collect", run, 300) == "success"
    print("Nothing was bought again.")


def _judge_again(api: AirflowApi) -> None:
    """A run of the earlier version is judged once more: a task that it did not have is made good, from the result that is there."""
    dag = f"{STEM}_train"
    run = str(api.runs(dag)[-1]["dag_run_id"])
    assert "measure" not in {task["task_id"] for task in api.tasks(dag, run)}
    api.post(f"dags/{dag}/clearTaskInstances", {"dag_run_id": run, "task_ids": ["judge"], "only_failed": False, "dry_run": False})

    def states() -> dict[str, tuple[str | None, int]]:
        return {task["task_id"]: (task["state"], task["try_number"]) for task in api.tasks(dag, run)}

    wait_until(lambda: states()["judge"] == ("success", 2), 300, "Judging again")  # Airflow answers before it has cleared
    assert api.wait_finished(dag, run, 60) == "success"
    assert (states()["measure"], states()["evaluate"]) == (("success", 1), ("success", 1)), states()
    print("A run of the earlier version was judged again; it is measured, and nothing was asked again.")


def _half_trained(earlier: Path, home: Home) -> tuple[Path, Path]:
    """Two requests of the same training: one that the earlier version was killed in, and one not begun."""
    finished = next(home.runs(STEM).glob("*/request.json"))
    while "recipe" not in json.loads(finished.read_text()):
        finished = next(path for path in home.runs(STEM).glob("*/request.json") if path != finished)
    requests = [_copy(finished, home.runs(STEM) / name) for name in ("killed", "whole")]
    process = subprocess.Popen(
        [TRAINING_PYTHON, "-m", "training", "train", requests[0]],
        env={**os.environ, "PYTHONPATH": str(earlier)},
        cwd=earlier,
    )
    checkpoints = requests[0].parent / "checkpoints"
    wait_until(lambda: checkpoints.exists() and any(checkpoints.iterdir()), 300, "A checkpoint")
    process.kill()
    process.wait()
    assert not _result(requests[0]).exists(), "The training ended before it could be killed."
    return requests[0], requests[1]


def _copy(request: Path, folder: Path) -> Path:
    """The same training in a folder of its own, for long enough to be killed in, untold to MLflow."""
    folder.mkdir()
    content = json.loads(request.read_text())
    content |= {"run_folder": str(folder), "tracking": None}
    content["recipe"]["epochs"] = 8
    (folder / "request.json").write_text(json.dumps(content))
    return folder / "request.json"


def _train(code: Path, request: Path) -> str:
    done = subprocess.run(
        [TRAINING_PYTHON, "-m", "training", "train", request],
        env={**os.environ, "PYTHONPATH": str(code)},
        cwd=code,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _result(request: Path) -> Path:
    return request.with_name("result.json")


def _states(api: AirflowApi, dag: str) -> list[str]:
    return [str(run["state"]) for run in api.runs(dag)]


def _waits(api: AirflowApi, run: str) -> str | None:
    tasks = {task["task_id"]: task["state"] for task in api.tasks(f"{PATIENT}_distill", run)}
    return tasks["wait_for_batch"]


def _environment(home: Home, writers: Path) -> dict[str, str]:
    ports = {"AIRFLOW_PORT": str(free_port()), "MLFLOW_PORT": str(free_port())}
    settings = {"GHOSTWRITER_HOME": str(home.path), "GHOSTWRITER_WRITERS": str(writers)}
    return {**os.environ, **ports, **settings, "GHOSTWRITER_TRAINING_PYTHON": str(TRAINING_PYTHON)}


@contextmanager
def _checkout(commit: str, folder: Path) -> Iterator[Path]:
    subprocess.run(["git", "-C", ROOT, "worktree", "add", "--detach", folder, commit], check=True, capture_output=True)
    try:
        yield folder
    finally:
        subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", folder], check=True)


@contextmanager
def _stack(code: Path, home: Home, environment: Mapping[str, str]) -> Iterator[AirflowApi]:
    """`python -m ghostwriter up` of the version in `code`, until the block ends."""
    home.path.mkdir(exist_ok=True)
    paths = os.pathsep.join([str(code), str(code / "plugins")])
    with (home.path / "up.log").open("wb") as log:
        up = subprocess.Popen(
            [sys.executable, "-m", "ghostwriter", "up"],
            env={**environment, "PYTHONPATH": paths, "PYTHONUNBUFFERED": "1"},
            cwd=code,
            stdout=log,
            stderr=log,
        )
    try:
        wait_until(lambda: "Ctrl-C" in _said(home) or up.poll() is not None, 300, "Airflow and MLflow")
        assert up.poll() is None, _said(home)
        password = json.loads((home.path / "airflow-passwords.json").read_text())["admin"]
        yield AirflowApi(f"http://127.0.0.1:{environment['AIRFLOW_PORT']}", password)
    finally:
        up.send_signal(signal.SIGTERM)
        up.wait(120)


def _said(home: Home) -> str:
    return (home.path / "up.log").read_text()


if __name__ == "__main__":
    main()
