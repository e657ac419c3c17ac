"""One process a GPU: the training command as several processes, started and watched by torch's elastic agent, as torchrun does.

A process that dies ends the others, and the command says which one it was and why.
"""

import ctypes
import json
import logging
import os
import signal
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from training.errors import STOPPED_STATUS, Stopped, TrainingError

STOP_SECONDS = 50
"""For the processes to end by themselves; a launcher that stops a stage waits a minute. torch 2.11 gives them 30 and cannot be told."""
PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"


def count_ranks(asked: int | None) -> int:
    """Processes to start: as many as asked, else one a GPU; 1 in a process that was itself started as one of several."""
    import torch

    if "LOCAL_RANK" in os.environ:
        return 1
    return asked or max(1, torch.cuda.device_count())


def run_ranks(count: int, arguments: Sequence[str]) -> None:
    """Run `python -m training ARGUMENTS` in `count` processes. Raises TrainingError when one of them failed, Stopped after a signal."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the one line below says it
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with tempfile.TemporaryDirectory(prefix="ghostwriter-ranks-") as errors:
        timeout: dict[str, Any] = {"shutdown_timeout": STOP_SECONDS} if "shutdown_timeout" in LaunchConfig.__dataclass_fields__ else {}
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=count,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="127.0.0.1:0",
            local_addr="127.0.0.1",
            max_restarts=0,
            **timeout,
            logs_specs=DefaultLogsSpecs(errors),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "training", *arguments)
        except ChildFailedError as error:
            if any(failure.exitcode == STOPPED_STATUS for failure in error.failures.values()):
                raise Stopped(f"All {count} processes have ended after a signal to one of them.") from error
            raise TrainingError(describe(error.failures, count)) from error
        except SignalException as error:
            raise Stopped(f"All {count} processes have ended after {error.sigval.name}.") from error


def describe(failures: dict[int, Any], count: int) -> str:
    """Which of `count` processes failed first, and why: one that was killed or said what is wrong, before one that only lost the others."""
    rank, failure = min(failures.items(), key=lambda item: (item[1].exitcode >= 0, item[1].error_file == "<N/A>", item[1].timestamp))
    if failure.exitcode < 0:
        why = f"was killed by {failure.signal_name()} (SIGKILL is most often a machine out of memory)"
    elif isinstance(failure.message, dict):
        why = f"failed: {failure.message['message']}"
    else:
        why = f"failed with status {failure.exitcode}; what it said stands above"
    return f"Process {rank + 1} of {count} {why}. The others were ended. Run the same command again to go on from the last checkpoint."


def end_with_parent() -> None:
    """In one of several processes: be killed when the one that started it is, so that no orphan trains beside the next attempt."""
    if ERROR_FILE in os.environ:
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)


def report(message: str) -> None:
    """In one of several processes: leave `message` for the one that started it."""
    if path := os.environ.get(ERROR_FILE):
        entry = {"message": message.rstrip("."), "extraInfo": {"py_callstack": message, "timestamp": str(int(time.time()))}}
        Path(path).write_text(json.dumps({"message": entry}), encoding="utf-8")
