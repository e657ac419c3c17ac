"""Long work in C, which looks at no flag: in a process of its own, that a signal ends at once."""

import multiprocessing
import os
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any, ParamSpec, TypeVar

from training.errors import TrainingError
from training.signals import StopFlag

LOOK_SECONDS = 0.2

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


def in_child(
    stop: StopFlag, kept: str, work: Callable[Arguments, Returned], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Returned:
    """What `work` returns. Raises Stopped, saying what is kept, as soon as a signal arrives, and TrainingError when the process dies."""
    context = multiprocessing.get_context("forkserver")  # a fork of this process, which has OpenMP threads, may hang
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(sender, work, arguments, named), daemon=True)
    process.start()
    sender.close()
    try:
        while not receiver.poll(LOOK_SECONDS):
            stop.raise_if_set(kept)
        returned: Returned = receiver.recv()
    except EOFError:
        process.join()
        stop.raise_if_set(kept)  # it went to the whole process group
        raise TrainingError(
            f"Measuring ended with status {process.exitcode}; what went wrong stands above. Status -9 means that memory ran out. {kept}"
        ) from None
    finally:
        process.kill()
        process.join()
    return returned


def _run(pipe: Connection, work: Callable[..., Any], arguments: tuple[Any, ...], named: dict[str, Any]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    pipe.send(work(*arguments, **named))


def _end_with_parent() -> None:
    """A killed parent's next attempt finds no orphan that takes its memory."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)
