"""What every command of this side shares: quiet libraries, and errors that end in one line and an exit status."""

import errno
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from training.errors import LOST_STATUS, STOPPED_STATUS, LostProcess, Stopped, TrainingError
from training.fit.ranks import end_with_parent, report
from training.network import take_settings

COMPILED = {"TORCHINDUCTOR_CACHE_DIR": "inductor", "TRITON_CACHE_DIR": "triton"}
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def guarded(work: Callable[[], None]) -> int:
    """Do `work`, with errors that a person can act on in one line; returns the exit status."""
    end_with_parent()
    try:
        take_settings()
        _be_quiet()
        work()
    except LostProcess as error:
        print(error, file=sys.stderr)
        return LOST_STATUS
    except TrainingError as error:
        return _fail(str(error))
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        return _fail(f"The disk is full ({error}). What was saved before is kept; free space and run the same command again.")
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        return STOPPED_STATUS
    return 0


def keep_compiled(models: Path) -> None:
    """Keep the kernels compiled for a GPU beside the base models, where the next run finds them, unless the environment says where.

    Both compilers look there by the kernel's source, their own version and the GPU, and write by rename.
    """
    for variable, folder in COMPILED.items():
        os.environ.setdefault(variable, str(models.absolute() / "compiled" / folder))
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", "1")  # for two small kernels a pool of processes costs seconds at the end


def _be_quiet() -> None:
    """One line a message, no progress bars of the libraries', nothing of theirs below a warning."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TQDM_DISABLE", "1")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stdout)
    logging.getLogger("training").setLevel(logging.INFO)


def _fail(message: str) -> int:
    report(message)
    print(message, file=sys.stderr)
    return 1
