"""The training command in a process forked from one that has imported everything: a real process, started in no time."""

import importlib
import multiprocessing
import os
import resource
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

PRELOADED = [
    "tests.training.child",
    "training.fit.train",
    "training.measure.evaluate",
    "training.measure.style",
    "training.arithmetic.examine",
    "training.remote.sending",
    "accelerate",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.tracking",
    "peft",
    "s3fs",
    "transformers.models.qwen2.modeling_qwen2",
]


class Child:
    """`python -m training ARGUMENTS` (or another module's `main`) as a process; what it says is in the file `said`.

    Its errors are there too, or in `errors`; a file that grows over `file_bytes` fails as on a full disk.
    """

    def __init__(
        self,
        said: Path,
        *arguments: str | Path,
        environment: Mapping[str, str] | None = None,
        module: str = "training.__main__",
        errors: Path | None = None,
        file_bytes: int | None = None,
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.said = said
        self._process = context.Process(
            target=run,
            args=(said, errors or said, module, [str(argument) for argument in arguments], dict(environment or {}), file_bytes),
        )
        self._process.start()

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    def send(self, number: int) -> None:
        """Send it a signal."""
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def wait(self) -> int:
        """Its exit status, negative for a signal."""
        self._process.join(150)
        status = self._process.exitcode
        assert status is not None, f"still running: {self.said.read_text()}"
        self._process.close()
        return status


def run(said: Path, errors: Path, module: str, arguments: list[str], environment: dict[str, str], file_bytes: int | None) -> None:
    """What the forked process does."""
    import torch

    main = importlib.import_module(module).main
    for path, descriptor in ((said, 1), (errors, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), descriptor)
    torch.set_num_threads(1)
    if file_bytes:
        sys.dont_write_bytecode = True  # or modules compiled under the limit stay cut for ever
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # it would end the process
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    os.environ.update(environment)
    sys.exit(main(arguments))
