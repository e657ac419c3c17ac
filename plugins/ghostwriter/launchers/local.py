"""Start a GPU stage on its request file, and wait for its result.

Launcher `local`: a subprocess in the training environment. It holds a lock on its run folder for as long as it lives,
so that whoever runs the same request again (a retry after this process was killed) waits for the one that is at work
instead of starting a second training beside it.
"""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import IO, Literal

from ghostwriter.errors import LaunchError
from ghostwriter.home import ROOT
from training.contract import RESULT_FILE

Stage = Literal["train", "evaluate", "examine"]
STOP_SECONDS = 60
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
        """Run the stage, passing each line it prints to `say`; returns the result file. Raises LaunchError with its last lines."""
        with _RunLock(self.request.parent, say) as lock:
            self._process = subprocess.Popen(
                [training_python(), "-m", "training", self.stage, self.request],
                cwd=ROOT,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                pass_fds=[lock.fileno()],
                start_new_session=True,
            )
            with self._process:
                lines = self._follow(say)
            status = self._process.returncode
        result = self.request.parent / RESULT_FILE
        if status or not result.exists():
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

    def _follow(self, say: Callable[[str], None]) -> list[str]:
        assert self._process and self._process.stdout
        lines: list[str] = []
        for line in self._process.stdout:
            lines = [*lines[-19:], line.rstrip()]
            say(line.rstrip())
        return lines


class _RunLock:
    """An exclusive lock on a run folder, inherited by the process that works in it."""

    def __init__(self, run_folder: Path, say: Callable[[str], None]) -> None:
        self._path = run_folder / "lock"
        self._say = say

    def __enter__(self) -> IO[bytes]:
        self._file = self._path.open("ab")
        said = False
        while not _locked(self._file):
            if not said:
                self._say("An earlier process still works on this run; waiting for it to end.")
                said = True
            time.sleep(1)
        return self._file

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self._file.close()


def _locked(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _environment() -> dict[str, str]:
    """What the training side may see of the environment: nothing of Airflow's, and no secret."""
    passed = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("MLFLOW_HTTP_")}
    return {**passed, "PYTHONUNBUFFERED": "1", "PYTHONPATH": str(ROOT), "GIT_PYTHON_REFRESH": "quiet"}
