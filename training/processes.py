"""The processes of one training: one, or several started by torchrun or accelerate, each with its own GPU or a CPU."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from training.errors import LostProcess, TrainingError

SHARED_MEMORY = Path("/dev/shm")
SHARED_MEMORY_BYTES = 512 * 2**20
GPU_GIB = "GHOSTWRITER_GPU_GIB"
"""Environment variable: how much of a card a stage may take."""


class Processes:
    """Sums over all processes; with one process everything here is a no-op.

    Raises TrainingError when NCCL could not work, and LostProcess when another process has ended.
    """

    def __init__(self) -> None:
        os.environ.setdefault("NCCL_NVLS_ENABLE", "0")  # NVLink multicast needs rights that containers often lack, and NCCL dies without
        if torch.cuda.is_available() and int(os.environ.get("LOCAL_WORLD_SIZE", "1")) > 1:
            check_shared_memory(shutil.disk_usage(SHARED_MEMORY).total)
        state = _state()
        self.rank, self.count = int(state.process_index), int(state.num_processes)
        self.device = best_device()
        limit_memory(self.device)

    @property
    def is_main(self) -> bool:
        return self.rank == 0

    def sum(self, tensor: torch.Tensor) -> None:
        """Replace a tensor by its sum over all processes."""
        if self.count > 1:
            with _lost_process_named():
                torch.distributed.all_reduce(tensor)

    def begin_sum(self, tensor: torch.Tensor) -> Any:
        """The same for several processes, without waiting: `finish` waits for what this returns."""
        with _lost_process_named():
            return torch.distributed.all_reduce(tensor, async_op=True)

    def finish(self, begun: list[Any]) -> None:
        """Wait for sums that were begun; on a GPU it is the device that waits."""
        with _lost_process_named():
            for sum_begun in begun:
                sum_begun.wait()

    def total(self, *values: float) -> list[float]:
        """Sums of plain numbers over all processes."""
        if self.count == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64 if self.device.type == "cpu" else torch.float32, device=self.device)
        with _lost_process_named():
            torch.distributed.all_reduce(tensor)
        return [float(value) for value in tensor]

    def gather(self, fact: str) -> list[str]:
        """What each process gives, in their order."""
        facts = [fact] * self.count
        if self.count > 1:
            with _lost_process_named():
                torch.distributed.all_gather_object(facts, fact)
        return facts

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            with _lost_process_named():
                torch.distributed.barrier()


def best_device() -> torch.device:
    """This process's GPU, else the CPU."""
    device: torch.device = _state().device
    return device if device.type != "cpu" else torch.device("cpu")  # accelerate's "cpu:0" is no place that torch.load knows


def limit_memory(device: torch.device) -> None:
    """Use no more of a card than GPU_GIB says (GiB): beside other work, or to see what a smaller card does."""
    if device.type == "cuda" and (limit := os.environ.get(GPU_GIB)):
        torch.cuda.set_per_process_memory_fraction(min(1.0, float(limit) * 2**30 / _card(device)))


def card_bytes(device: torch.device) -> int:
    """Memory of a card, or what GPU_GIB leaves of it."""
    return int(min(_card(device), float(os.environ.get(GPU_GIB) or "inf") * 2**30))


def free_bytes(device: torch.device) -> int:
    """Memory of a card that can be taken now, what PyTorch keeps for itself without using it included."""
    ours = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return min(torch.cuda.mem_get_info()[0] + ours, card_bytes(device) - torch.cuda.memory_allocated(device))


def _card(device: torch.device) -> int:
    return int(torch.cuda.get_device_properties(device).total_memory)


def leave() -> None:
    """End the process group after a training that went well; NCCL warns of a process that just goes, in the log's last line."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def check_shared_memory(size: int) -> None:
    """Refuse a /dev/shm (`size` in bytes) in which NCCL fails with "unhandled system error" and "shared memory error"."""
    if size < SHARED_MEMORY_BYTES:
        raise TrainingError(
            f"/dev/shm has {size / 2**20:.0f} MiB; several GPUs need {SHARED_MEMORY_BYTES // 2**20} MiB, or NCCL dies with"
            " 'unhandled system error'."
            " Start the container with --shm-size=1g (compose: shm_size, Kubernetes: an emptyDir of medium Memory at /dev/shm)."
        )


@contextmanager
def _lost_process_named() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise LostProcess(f"The processes of this training have lost one another: {str(error).splitlines()[0][:200]}") from error


def _state() -> Any:
    from accelerate import PartialState  # type: ignore[import-untyped]

    return PartialState(cpu=not torch.cuda.is_available())  # without a GPU it would start no process group by itself
