"""One process a GPU: the training command as several processes, started and watched by torch's elastic agent, as torchrun does.

A process that dies ends the others, and the command says which one it was and why. On several machines the command runs once on
each; the first has rank 0, and the others find it by its address.
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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import LOST_STATUS, STOPPED_STATUS, LostProcess, Stopped, TrainingError

STOP_SECONDS = 50
"""For the processes to end by themselves; a launcher that stops a stage waits a minute. torch 2.11 gives them 30 and cannot be told."""
JOIN_SECONDS = 900
"""For all machines to come together: one may still pull its image."""
LATER_SECONDS = 5
"""A machine that only lost another ends so much later: the first that ended is then the one whose words matter."""
PARENT_DEATH_SIGNAL = 1  # prctl's PR_SET_PDEATHSIG
NCCL_LOST = -signal.SIGABRT
"""How NCCL's watchdog ends a process that has lost another one."""
INDEX = "JOB_COMPLETION_INDEX"
"""Which of several machines this is, from 0, as an indexed Job of Kubernetes tells it."""
ERROR_FILE = "TORCHELASTIC_ERROR_FILE"


@dataclass(frozen=True)
class Nodes:
    """The machines of one training, and which of them this is."""

    count: int = 1
    index: int = 0
    rendezvous: str = ""
    """HOST:PORT of the first machine."""

    @classmethod
    def of(cls, count: int, rendezvous: str | None) -> "Nodes":
        """As the command line and JOB_COMPLETION_INDEX say. Raises TrainingError."""
        if count == 1:
            return cls()
        host, _, port = (rendezvous or "").rpartition(":")
        if not host or not port.isdigit():
            raise TrainingError(f"--rendezvous is {rendezvous!r}. With --nodes {count} give HOST:PORT of the first machine.")
        index = os.environ.get(INDEX, "")
        if not index.isdigit() or int(index) >= count:
            raise TrainingError(f"{INDEX} is {index!r}. Set it to this machine's number, 0 to {count - 1}.")
        return cls(count, int(index), f"{host}:{port}")

    @property
    def is_first(self) -> bool:
        return self.index == 0


def count_ranks(asked: int | None) -> int:
    """Processes to start: as many as asked, else one a GPU; 1 in a process that was itself started as one of several."""
    import torch

    if "LOCAL_RANK" in os.environ:
        return 1
    return asked or max(1, torch.cuda.device_count())


def run_ranks(count: int, arguments: Sequence[str], nodes: Nodes) -> None:
    """Run `python -m training ARGUMENTS` in `count` processes on each machine.

    Raises TrainingError when one of them failed, LostProcess when it only lost one of another machine, Stopped after a signal.
    """
    import torch.distributed
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # the one line below says it
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with tempfile.TemporaryDirectory(prefix="ghostwriter-ranks-") as errors:
        timeout: dict[str, Any] = {"shutdown_timeout": STOP_SECONDS} if "shutdown_timeout" in LaunchConfig.__dataclass_fields__ else {}
        config = LaunchConfig(
            min_nodes=nodes.count,
            max_nodes=nodes.count,
            nproc_per_node=count,
            max_restarts=0,
            **_rendezvous(nodes, arguments),
            **timeout,
            logs_specs=DefaultLogsSpecs(errors),
        )
        try:
            elastic_launch(config, sys.executable)("-m", "training", *arguments)
        except ChildFailedError as error:
            if any(failure.exitcode == STOPPED_STATUS for failure in error.failures.values()):
                raise Stopped(f"All {count} processes have ended after a signal to one of them.") from error
            raise _failed(error.failures, count, nodes) from error
        except torch.distributed.DistError as error:
            raise TrainingError(
                f"Machine {nodes.index + 1} of {nodes.count} found no others at {nodes.rendezvous} within {JOIN_SECONDS // 60} minutes"
                f" ({str(error).splitlines()[0][:200]}). See that all were started and can reach that address;"
                " then run the same command again."
            ) from error
        except SignalException as error:
            raise Stopped(f"All {count} processes have ended after {error.sigval.name}.") from error


def _rendezvous(nodes: Nodes, arguments: Sequence[str]) -> dict[str, Any]:
    """Where the processes meet: a free port here, or the first machine, so that rank 0 is the one that writes and sends."""
    if nodes.count == 1:
        return {"run_id": uuid.uuid4().hex, "rdzv_backend": "c10d", "rdzv_endpoint": "127.0.0.1:0", "local_addr": "127.0.0.1"}
    where = {"rank": nodes.index, "timeout": JOIN_SECONDS}
    return {"run_id": arguments[-1], "rdzv_backend": "static", "rdzv_endpoint": nodes.rendezvous, "rdzv_configs": where}


def _failed(failures: dict[int, Any], count: int, nodes: Nodes) -> TrainingError:
    only_lost = nodes.count > 1 and all(failure.exitcode in (LOST_STATUS, NCCL_LOST) for failure in failures.values())
    return (LostProcess if only_lost else TrainingError)(describe(failures, count * nodes.count))


def end_later() -> None:
    """Wait a little before ending, unless asked to end."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    time.sleep(LATER_SECONDS)


def describe(failures: dict[int, Any], count: int) -> str:
    """Which of `count` processes failed first, and why: one that was killed or said what is wrong, before one that only lost the others.

    SIGTERM is how the agent ends the others, so it comes last.
    """

    def order(item: tuple[int, Any]) -> tuple[bool, bool, bool, float]:
        failure = item[1]
        return failure.exitcode == -signal.SIGTERM, failure.exitcode >= 0, failure.error_file == "<N/A>", failure.timestamp

    rank, failure = min(failures.items(), key=order)
    if failure.exitcode < 0:
        why = f"was killed by {failure.signal_name()} (SIGKILL is most often a machine out of memory)"
    elif isinstance(failure.message, dict):
        why = f"failed: {failure.message['message']}"
    else:
        why = f"failed with status {failure.exitcode}; what it said stands above"
    return f"Process {rank + 1} of {count} {why}. The others were ended. Run the same command again to go on from the last checkpoint."


def end_with_parent() -> None:
    """Be told by the kernel when the process that started this one is gone, so that no orphan trains beside the next attempt.

    One of several processes is killed. A stage that a launcher waits for gets SIGHUP, and ends with its checkpoint.
    """
    from training.contract import LAUNCHER_VARIABLE  # `--help` answers sooner without pydantic

    launcher = os.environ.pop(LAUNCHER_VARIABLE, "")
    if ERROR_FILE in os.environ:
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGKILL)
    elif launcher and sys.platform == "linux":
        ctypes.CDLL(None).prctl(PARENT_DEATH_SIGNAL, signal.SIGHUP)
        if os.getppid() != int(launcher):  # it ended before the kernel was asked
            os.kill(os.getpid(), signal.SIGHUP)


def report(message: str) -> None:
    """In one of several processes: leave `message` for the one that started it."""
    if path := os.environ.get(ERROR_FILE):
        entry = {"message": message.rstrip("."), "extraInfo": {"py_callstack": message, "timestamp": str(int(time.time()))}}
        Path(path).write_text(json.dumps({"message": entry}), encoding="utf-8")
