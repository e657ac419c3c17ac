"""Start a GPU stage on its request file, and wait for its result.

Launcher `local`: a subprocess in the training environment. It holds a lock on its run folder for as long as it lives,
so that whoever runs the same request again waits for the one that is at work instead of starting a second training beside it.
When the process that started it is killed, the kernel tells it, and it ends with a checkpoint within a minute; one that does not
is killed by the next attempt.
"""

import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from ghostwriter.errors import LaunchError, LaunchInterrupted
from ghostwriter.home import ROOT
from ghostwriter.launchers.network import network_settings, secrets_file
from training.contract import LAUNCHER_VARIABLE, RESULT_FILE, WITHOUT_MODEL, Stage, last_file

STOP_SECONDS = 60
"""For a process that was told to end, to save its checkpoint."""
STOPPED_STATUS = 143
"""Exit status of a process that ended because it was told to."""
YIELDING = {"OMP_WAIT_POLICY": "PASSIVE", "GOMP_SPINCOUNT": "1000"}
"""For what runs beside models that answer: threads that spin while they wait for each other take the cores from those they wait for. An
export took 19 s instead of 319 on two busy cores. Threads that sleep at once wake late, and a model has hundreds of such moments a token: a
thousand turns, some 20 microseconds, are a compromise, 40 tokens a second instead of 25 (training/LOG.md)."""
PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "HF_HOME", "HF_HUB_OFFLINE", "OMP_NUM_THREADS")


def training_python() -> Path:
    """The training environment's interpreter: GHOSTWRITER_TRAINING_PYTHON, else `.venv-training` beside the code. Raises LaunchError."""
    path = Path(os.environ.get("GHOSTWRITER_TRAINING_PYTHON") or ROOT / ".venv-training" / "bin" / "python")
    if not path.exists():
        raise LaunchError(
            f"There is no training environment ({path}). Make it with `make install`, or name its Python in GHOSTWRITER_TRAINING_PYTHON."
        )
    return path


class LocalStage:
    """One run of `python -m training STAGE REQUEST`."""

    def __init__(self, stage: Stage, request: Path) -> None:
        self.stage, self.request = stage, request
        self._process: subprocess.Popen[str] | None = None

    def run(self, say: Callable[[str], None]) -> Path:
        """Run the stage, passing each line it prints to `say`; returns the file that it writes last.

        Where a result is there already, nothing is started.

        Raises LaunchError with its last lines, and LaunchInterrupted when a signal ended it.
        """
        folder = self.request.parent
        with _RunLock(folder, say) as lock:
            if (folder / RESULT_FILE).exists() and (result := last_file(folder, self.stage)):
                say(f"Done before: {result}")
                return result
            self._process = subprocess.Popen(
                [training_python(), "-m", "training", self.stage, self.request],
                cwd=ROOT,
                env={**training_environment(), **_own(self.stage), LAUNCHER_VARIABLE: str(os.getpid())},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
            lock.note(self._process.pid)
            with self._process:
                lines = self._followed(say)
            status = self._process.returncode
        result = last_file(self.request.parent, self.stage)
        if status == STOPPED_STATUS or status < 0:
            ended = f"was ended by {signal.Signals(-status).name}" if status < 0 else "was told to end"
            raise LaunchInterrupted(f"training {self.stage} {ended}. Run the task again: it goes on from its checkpoint.")
        if status or not result:
            raise LaunchError(f"training {self.stage} ended with status {status} and no result. Its last lines:\n" + "\n".join(lines[-8:]))
        return result

    def stop(self) -> None:
        """Ask the process to save a checkpoint and end; kill it after a minute."""
        if not self._process or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _followed(self, say: Callable[[str], None]) -> list[str]:
        """Its last lines, once it has ended. What interrupts this (a task's time limit) ends the process, which nobody else would."""
        try:
            return self._follow(say)
        except BaseException:
            self.stop()
            raise

    def _follow(self, say: Callable[[str], None]) -> list[str]:
        assert self._process and self._process.stdout
        lines: list[str] = []
        for line in self._process.stdout:
            lines = [*lines[-19:], line.rstrip()]
            say(line.rstrip())
        return lines


class _RunLock:
    """An exclusive lock on a run folder, inherited by the process that works in it, whose id stands in the lock's file."""

    def __init__(self, run_folder: Path, say: Callable[[str], None]) -> None:
        self._path = run_folder / "lock"
        self._say = say

    def __enter__(self) -> Self:
        self._file = self._path.open("a+b")
        told, alone_since = False, None
        while not _locked(self._file):
            if not told:
                self._say("An earlier process still works on this run; waiting for it to end.")
                told = True
            orphan = self._orphan()
            alone_since = (alone_since or time.monotonic()) if orphan else None
            if orphan and alone_since and time.monotonic() - alone_since > STOP_SECONDS:
                self._say(f"It was told to end {STOP_SECONDS} s ago; it is killed.")
                orphan.kill()
            time.sleep(1)
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._file.close()

    def fileno(self) -> int:
        """Of the file that is locked."""
        return self._file.fileno()

    def note(self, pid: int) -> None:
        """Write down which process works here, and whose it is."""
        self._file.truncate(0)
        self._file.write(json.dumps([pid, psutil.Process(pid).create_time(), os.getpid()]).encode())
        self._file.flush()

    def _orphan(self) -> psutil.Process | None:
        """The process at work, when whoever started it is gone."""
        try:
            pid, born, launcher = json.loads(self._path.read_bytes())
            process = psutil.Process(pid)
            return process if process.create_time() == born and process.ppid() != launcher else None
        except (ValueError, psutil.NoSuchProcess):
            return None


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def training_environment() -> dict[str, str]:
    """What the training side may see of the environment: nothing of Airflow's, and no secret. Raises LaunchError."""
    passed = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("MLFLOW_HTTP_")}
    own = {"PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), "GIT_PYTHON_REFRESH": "quiet"}
    return {**passed, **network_settings(), **secrets_file(), **own}


def _own(stage: Stage) -> dict[str, str]:
    """What is set for one stage: where no GPU is needed none is taken of."""
    return {**({"CUDA_VISIBLE_DEVICES": ""} if stage in WITHOUT_MODEL else {}), **(YIELDING if stage == "export" else {})}
