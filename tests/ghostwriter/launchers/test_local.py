"""The local launcher, on a stand-in training package run by a real interpreter."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from airflow.sdk.exceptions import AirflowTaskTimeout

from ghostwriter.errors import LaunchError, LaunchInterrupted
from ghostwriter.launchers import local
from ghostwriter.launchers.local import LocalStage, training_python
from training.contract import Stage


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A training environment whose `python -m training STAGE REQUEST` runs the file `stage.py` beside the request."""
    path = tmp_path / "python"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} "$(dirname "$4")/stage.py" "$3" "$4"\n')
    path.chmod(0o755)
    monkeypatch.setenv("GHOSTWRITER_TRAINING_PYTHON", str(path))
    return path


def request(folder: Path, program: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "stage.py").write_text(program)
    (folder / "request.json").write_text("{}")
    return folder / "request.json"


FINISH = "import sys, pathlib\nprint('step 1 of 1')\npathlib.Path(sys.argv[2]).with_name('result.json').write_text('{}')\n"


def test_the_result_file_is_returned_and_every_line_passed_on(tmp_path: Path, interpreter: Path) -> None:
    lines: list[str] = []
    path = request(tmp_path / "run", FINISH)
    assert LocalStage("train", path).run(lines.append) == tmp_path / "run" / "result.json"
    assert lines == ["step 1 of 1"]


def test_what_was_done_before_is_not_started_again(tmp_path: Path, interpreter: Path) -> None:
    """A start costs seconds of a core, and the stage would only say that its result is there."""
    path, lines = request(tmp_path / "run", FINISH), list[str]()
    for _ in range(2):
        assert LocalStage("train", path).run(lines.append) == tmp_path / "run" / "result.json"
    assert lines == ["step 1 of 1", f"Done before: {tmp_path / 'run' / 'result.json'}"]


def test_a_failure_carries_the_last_lines_of_the_process(tmp_path: Path, interpreter: Path) -> None:
    path = request(tmp_path / "run", "print('The dataset is empty.'); raise SystemExit(1)")
    with pytest.raises(LaunchError, match=r"training train ended with status 1 and no result[\s\S]*The dataset is empty."):
        LocalStage("train", path).run(lambda line: None)


def test_no_secret_of_the_environment_reaches_the_process(tmp_path: Path, interpreter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_TEACHER", "http://:sk-secret@host")
    lines: list[str] = []
    LocalStage("train", request(tmp_path / "run", "import os; print(sorted(os.environ))\n" + FINISH)).run(lines.append)
    assert "AIRFLOW_CONN_TEACHER" not in lines[0]
    assert "PYTHONPATH" in lines[0]


SEES = "import os; print(os.environ.get('CUDA_VISIBLE_DEVICES'))\n"


@pytest.mark.parametrize(("stage", "seen"), [("evaluate", "2"), ("measure", "")])
def test_measuring_sees_no_gpu(tmp_path: Path, interpreter: Path, monkeypatch: pytest.MonkeyPatch, stage: Stage, seen: str) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2")
    lines: list[str] = []
    LocalStage(stage, request(tmp_path / "run", SEES + FINISH)).run(lines.append)
    assert lines[0] == seen


def test_an_exports_threads_yield_to_the_models_that_answer_beside_it(tmp_path: Path, interpreter: Path) -> None:
    lines: list[str] = []
    LocalStage("export", request(tmp_path / "run", "import os; print(os.environ.get('OMP_WAIT_POLICY'))\n" + FINISH)).run(lines.append)
    assert lines[0] == "PASSIVE"


ANSWER = FINISH.replace("result.json", "answered.json")


def test_answering_has_ended_well_with_answers_and_measuring_only_with_a_result(tmp_path: Path, interpreter: Path) -> None:
    path = request(tmp_path / "run", ANSWER)
    assert LocalStage("evaluate", path).run(print) == tmp_path / "run" / "answered.json"
    with pytest.raises(LaunchError, match="training measure ended with status 0 and no result"):
        LocalStage("measure", path).run(print)


def test_an_evaluation_that_an_earlier_version_ended_has_ended(tmp_path: Path, interpreter: Path) -> None:
    assert LocalStage("evaluate", request(tmp_path / "run", FINISH)).run(print) == tmp_path / "run" / "result.json"


def test_a_second_launcher_waits_for_the_process_of_a_killed_first(tmp_path: Path, interpreter: Path) -> None:
    path = request(tmp_path / "run", "import time, os\nopen('started', 'a').write('x')\ntime.sleep(2)\n" + FINISH)
    stage = (tmp_path / "run" / "stage.py").read_text().replace("'started'", repr(str(tmp_path / "started")))
    (tmp_path / "run" / "stage.py").write_text(stage)
    call = f"LocalStage('train', Path({str(path)!r})).run(print)"
    program = f"from pathlib import Path; from ghostwriter.launchers.local import LocalStage; {call}"
    first = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    while not (tmp_path / "started").exists():
        time.sleep(0.05)
    first.kill()
    first.wait()
    lines: list[str] = []
    LocalStage("train", path).run(lines.append)
    assert lines[0] == "An earlier process still works on this run; waiting for it to end."


def test_a_process_that_outlives_its_launcher_and_does_not_end_is_killed_by_the_next_attempt(
    tmp_path: Path, interpreter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_SECONDS", 1)
    path = request(tmp_path / "run", f"import time\nopen({str(tmp_path / 'started')!r}, 'w')\ntime.sleep(60)\n")
    program = (
        f"from pathlib import Path; from ghostwriter.launchers.local import LocalStage; LocalStage('train', Path({str(path)!r})).run(print)"
    )
    first = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.DEVNULL)
    while not (tmp_path / "started").exists():
        time.sleep(0.05)
    first.kill()
    first.wait()
    request(tmp_path / "run", FINISH)
    lines: list[str] = []
    LocalStage("train", path).run(lines.append)
    assert lines == [
        "An earlier process still works on this run; waiting for it to end.",
        "It was told to end 1 s ago; it is killed.",
        "step 1 of 1",
    ]


@pytest.mark.parametrize(("end", "words"), [("sys.exit(143)", "was told to end"), ("os.kill(os.getpid(), 9)", "was ended by SIGKILL")])
def test_a_stage_that_a_signal_ended_is_tried_again(tmp_path: Path, interpreter: Path, end: str, words: str) -> None:
    with pytest.raises(LaunchInterrupted, match=f"training train {words}. Run the task again") as raised:
        LocalStage("train", request(tmp_path / "run", f"import os, sys\n{end}")).run(lambda line: None)
    assert raised.value.retryable


def test_stopping_lets_the_process_end_itself(tmp_path: Path, interpreter: Path) -> None:
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved', flush=True), sys.exit(3)))\n"
        "print('ready', flush=True)\ntime.sleep(60)"
    )
    stage = LocalStage("train", request(tmp_path / "run", program))
    lines: list[str] = []
    ready = threading.Event()

    def say(line: str) -> None:
        lines.append(line)
        ready.set()

    def run() -> None:
        with pytest.raises(LaunchError, match="status 3"):
            stage.run(say)

    thread = threading.Thread(target=run)
    thread.start()
    assert ready.wait(20)
    stage.stop()
    thread.join(20)
    assert lines == ["ready", "saved"]


def test_a_time_limit_that_interrupts_it_lets_the_process_save_and_end(tmp_path: Path, interpreter: Path) -> None:
    """Popen waits for the end of a process that its block leaves; nobody else would tell it to end."""
    program = (
        "import pathlib, signal, sys, time\n"
        "def save(*_):\n    pathlib.Path(sys.argv[2]).with_name('saved').touch()\n    sys.exit(143)\n"
        "signal.signal(signal.SIGTERM, save)\nprint('ready', flush=True)\ntime.sleep(20)"
    )
    asked = request(tmp_path / "run", program)

    def out_of_time(_line: str) -> None:
        raise AirflowTaskTimeout("Timeout")

    began = time.monotonic()
    with pytest.raises(AirflowTaskTimeout):
        LocalStage("train", asked).run(out_of_time)
    assert asked.with_name("saved").exists()
    assert time.monotonic() - began < 10


def test_a_missing_environment_is_said_with_the_command_that_makes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GHOSTWRITER_TRAINING_PYTHON", "/nowhere/python")
    with pytest.raises(LaunchError, match="make install"):
        training_python()
