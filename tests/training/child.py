"""The training command in a process forked from one that has imported everything: a real process, started in no time."""

import importlib
import multiprocessing
import os
import sys
from collections.abc import Mapping
from pathlib import Path

PRELOADED = [
    "tests.training.child",
    "training.fit.train",
    "training.measure.evaluate",
    "training.measure.style",
    "training.arithmetic.examine",
    "accelerate",
    "peft",
    "transformers.models.qwen2.modeling_qwen2",
]


class Child:
    """`python -m training ARGUMENTS` (or another module's `main`) as a process; what it says is in the file `said`."""

    def __init__(
        self, said: Path, *arguments: str | Path, environment: Mapping[str, str] | None = None, module: str = "training.__main__"
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.said = said
        self._process = context.Process(
            target=run, args=(str(said), module, [str(argument) for argument in arguments], dict(environment or {}))
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


def run(said: str, module: str, arguments: list[str], environment: dict[str, str]) -> None:
    """What the forked process does."""
    import torch

    main = importlib.import_module(module).main
    output = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    torch.set_num_threads(1)
    os.environ.update(environment)
    sys.exit(main(arguments))
