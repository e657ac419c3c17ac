"""Base models from ModelScope, `modelscope:OWNER/NAME` or `modelscope:OWNER/NAME@REVISION`, by the hub's own library.

A base is downloaded once into the folder of models, under its own name as soon as all of it is there. One that was broken off, by a kill
too, goes on where it was: the library asks for the rest of each file. What it serves are the files of the other hub, so the fingerprint of
a base is the same from both.
"""

import fcntl
import importlib.util
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from training.errors import BaseModelError
from training.files import UNFINISHED, sync

if TYPE_CHECKING:
    from modelscope_hub import HubApi

log = logging.getLogger(__name__)

PREFIX = "modelscope:"
FOLDER = "modelscope"
FILES = ["*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "LICENSE*", "NOTICE*"]
"""What transformers reads, and the licence; other formats of the same weights stay where they are."""
SAY_SECONDS = 10.0
INSTALL = "pip install --no-deps modelscope-hub==0.5.1"
AGAIN = "What was downloaded is kept: run the same again, and it goes on from there."


def folder_of(base: str, models: Path) -> Path:
    """Where a base, named with its prefix, lies once it is downloaded."""
    owner_and_name, _, revision = base.removeprefix(PREFIX).partition("@")
    return models / FOLDER / "--".join([*owner_and_name.split("/"), *([revision] if revision else [])])


def prepare_from_modelscope(base: str, models: Path) -> Path:
    """The folder of a base; it is downloaded on the first call. Raises BaseModelError."""
    name, _, revision = base.removeprefix(PREFIX).partition("@")
    if len(name.split("/")) != 2 or not all(part.strip(".") for part in name.split("/")):
        raise BaseModelError(f"{base!r} names no base model: write {PREFIX}OWNER/NAME, such as {PREFIX}Qwen/Qwen2.5-7B-Instruct.")
    folder = folder_of(base, models)
    if not (folder / "config.json").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with folder.with_name(f"{folder.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # of several processes one downloads and the others wait for it
            if not (folder / "config.json").exists():
                _download(name, revision or None, folder)
    return folder


def _download(name: str, revision: str | None, folder: Path) -> None:
    if importlib.util.find_spec("modelscope_hub") is None:
        raise BaseModelError(f"ModelScope's library is not installed. Install it with `{INSTALL}` in the training environment.")
    from modelscope_hub import HubApi, HubConfig

    logging.getLogger("modelscope_hub").setLevel(logging.ERROR)
    log.info("Downloading %s from ModelScope to %s.", name, folder)
    started, unfinished = time.monotonic(), folder.with_name(folder.name + UNFINISHED)
    _fetch(HubApi(HubConfig()), name, revision, unfinished)
    if not (unfinished / "config.json").exists():
        raise BaseModelError(f"{name} on ModelScope has no config.json, so it is no model that transformers can load.")
    for path in [*unfinished.rglob("*"), unfinished]:
        sync(path)
    unfinished.rename(folder)
    sync(folder.parent)
    log.info("Downloaded %s in %.0f s.", name, time.monotonic() - started)


def _fetch(api: "HubApi", name: str, revision: str | None, folder: Path) -> None:
    """Download into `folder`, going on from what is there. Raises BaseModelError, or the disk's own error."""
    from modelscope_hub import (
        AuthenticationError,
        FileDownloadError,
        HubError,
        NetworkError,
        NotExistError,
        PermissionDeniedError,
        ProgressCallback,
    )
    from requests import RequestException

    progress = type("Progress", (_Lines, ProgressCallback), {})
    try:
        api.download_repo(name, "model", revision=revision, local_dir=folder, allow_patterns=FILES, progress_callbacks=[progress])
    except NotExistError:
        at = f" at {revision}" if revision else ""
        raise BaseModelError(f"ModelScope has no model {name}{at}. Copy its name from its page.") from None
    except (AuthenticationError, PermissionDeniedError) as error:
        raise BaseModelError(
            f"ModelScope does not give out {name} ({error}). Agree to its terms on its page, and put MODELSCOPE_API_TOKEN=... into the"
            " file training.env (docs/containers.md)."
        ) from None
    except (NetworkError, RequestException) as error:
        raise BaseModelError(_unreachable(error)) from None
    except FileDownloadError as error:
        _raise_disk_error(error)
        raise BaseModelError(f"{name} was not downloaded whole: {error}. {AGAIN} {_unreachable()}") from None
    except HubError as error:
        raise BaseModelError(f"ModelScope did not give out {name}: {error}. {AGAIN}") from None


def _unreachable(error: Exception | None = None) -> str:
    cause = f"ModelScope cannot be reached ({type(error).__name__}). " if error else ""
    return (
        f"{cause}Name a mirror in MODELSCOPE_ENDPOINT or a proxy in HTTPS_PROXY, where the network wants one, or put the model's folder"
        f" below models/ by hand and name that.{f' {AGAIN}' if error else ''}"
    )


def _raise_disk_error(error: Any) -> None:
    """Raise what the disk said, if that is why a file is missing: whoever started this knows its words."""
    for cause in error.failed_files.values():
        while cause is not None:
            if isinstance(cause, OSError) and cause.errno is not None and not isinstance(cause, ConnectionError):
                raise cause
            cause = cause.__cause__


class _Lines:
    """A file's download as a line of the log every ten seconds."""

    def __init__(self, filename: str, file_size: int) -> None:
        super().__init__(filename, file_size)  # type: ignore[call-arg]  # ProgressCallback's, beside which this stands
        self._name, self._size, self._done = filename, file_size, 0
        self._said = time.monotonic()

    def update(self, size: int) -> None:
        """`size` more bytes are there."""
        self._done += size
        if time.monotonic() - self._said >= SAY_SECONDS:
            self._said = time.monotonic()
            log.info("%s: %.0f of %.0f MB", self._name, self._done / 1e6, self._size / 1e6)

    def end(self) -> None:
        """The file is whole."""
        log.info("%s: whole, %.0f MB", self._name, self._size / 1e6)
