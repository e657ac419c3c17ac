"""Shared memory that is too small for NCCL, and its settings."""

import os
import re
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
import torch

from training.errors import LostProcess, TrainingError
from training.processes import Processes, check_shared_memory

MIB = 2**20


@pytest.fixture
def _own_settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("NCCL_NVLS_ENABLE", raising=False)
    yield
    os.environ.pop("NCCL_NVLS_ENABLE", None)


def test_a_small_dev_shm_is_refused_with_the_message_nccl_would_die_with() -> None:
    check_shared_memory(512 * MIB)
    expected = "/dev/shm has 64 MiB; several GPUs need 512 MiB, or NCCL dies with 'unhandled system error'"
    with pytest.raises(TrainingError, match=re.escape(expected) + ".*--shm-size=1g"):
        check_shared_memory(64 * MIB)


def test_it_is_looked_at_before_several_gpus_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr("shutil.disk_usage", lambda _path: SimpleNamespace(total=64 * MIB))
    with pytest.raises(TrainingError, match="/dev/shm has 64 MiB"):
        Processes()


@pytest.mark.usefixtures("_own_settings")
def test_nvlink_multicast_is_off() -> None:
    Processes()
    assert os.environ["NCCL_NVLS_ENABLE"] == "0"


def test_a_sum_that_cannot_be_made_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(*_arguments: object) -> None:
        raise RuntimeError("Connection closed by peer [127.0.0.1]:1234\nand more")

    monkeypatch.setattr("torch.distributed.all_reduce", lost)
    monkeypatch.setattr("torch.distributed.barrier", lost)
    processes = Processes()
    processes.count = 2
    for sum_up in (lambda: processes.sum(torch.ones(1)), lambda: processes.total(1.0), processes.wait):
        with pytest.raises(LostProcess, match=r"The processes of this training have lost one another: Connection closed by peer .*1234$"):
            sum_up()
