"""Base models by a hub id, OWNER/NAME, through Hugging Face's own library into its own cache.

transformers would fetch the same files, but in silence and with errors that do not say what to do. A download that was broken off, by a
kill too, keeps the files that are whole; the library fetches one that is not from its beginning, under a new name.
"""

import logging
import time
from pathlib import Path
from typing import Any

from training.errors import BaseModelError
from training.models.modelscope import FILES, SAY_SECONDS

log = logging.getLogger(__name__)

AGAIN = "Files that are whole are kept: run the same again."
BROKEN_OFF_SECONDS = 3600.0
"""Untouched for so long, part of a file is what a kill left."""
CONFIG = ["config.json"]
OLD_WEIGHTS = ["*.bin", "*.bin.index.json"]
"""Of a base without safetensors."""


def is_hub_id(location: str) -> bool:
    """Whether what `prepare` returned is to be fetched by its name."""
    return not Path(location).is_dir()


def fetch(base: str, revision: str | None, files: list[str] = FILES) -> tuple[str, str]:
    """Bring what is missing of a base into the cache; returns its folder there, and nothing else when it is whole.

    Else returns the id, and what kept it from that, in words: files that another program put into the cache may suffice all the same. From
    the folder it loads without a question to the hub; by the id, a hub that is away costs 20 s for each file.
    """
    import httpx
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        IncompleteSnapshotError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    _remove_broken_off(base)
    try:
        folder = snapshot_download(base, revision=revision, allow_patterns=files, tqdm_class=_lines(base))
        if files is FILES and not any(Path(folder).glob("*.safetensors")):
            snapshot_download(base, revision=revision, allow_patterns=[*files, *OLD_WEIGHTS], tqdm_class=_lines(base))
        return folder, ""
    except GatedRepoError:
        words = (
            f"The hub does not give out {base}. Agree to its terms on its page, and put HF_TOKEN=... into the file training.env"
            " (docs/containers.md)."
        )
    except (RepositoryNotFoundError, RevisionNotFoundError):
        at = f" at {revision}" if revision else ""
        words = f"The hub has no model {base}{at}. Copy its name from its page; one that is not public needs HF_TOKEN=... in training.env."
    except (LocalEntryNotFoundError, IncompleteSnapshotError, HfHubHTTPError, httpx.HTTPError) as error:
        words = (
            f"The hub cannot be reached ({type(error.__cause__ or error).__name__}). Name a mirror in HF_ENDPOINT or a proxy in"
            f" HTTPS_PROXY, where the network wants one, or put the model's folder below models/ by hand and name that. {AGAIN}"
        )
    return base, words


def fetch_whole(base: str, revision: str | None) -> None:
    """Bring a base into the cache. Raises BaseModelError with what to do."""
    _, missing = fetch(base, revision)
    if missing:
        raise BaseModelError(missing)


def _remove_broken_off(base: str) -> None:
    """Parts of files that a kill left: nobody goes on with them, and each may be some gigabytes."""
    from huggingface_hub.constants import HF_HUB_CACHE
    from huggingface_hub.file_download import repo_folder_name

    blobs = Path(HF_HUB_CACHE) / repo_folder_name(repo_id=base, repo_type="model") / "blobs"
    for part in blobs.glob("*.incomplete"):
        if time.time() - part.stat().st_mtime > BROKEN_OFF_SECONDS:
            part.unlink(missing_ok=True)


def _lines(base: str) -> Any:
    """A class of progress bars that are lines of the log: how far all files together are, every ten seconds and at the end."""
    from tqdm import tqdm  # type: ignore[import-untyped]

    class Lines(tqdm):  # type: ignore[misc]
        def __init__(self, *arguments: Any, desc: str = "", **settings: Any) -> None:
            super().__init__(*arguments, **{**settings, "disable": True})
            self._is_of_all = desc.startswith("Reconstructing")  # of the bars there are, the one of the bytes on the disk
            self._done, self._said = 0, time.monotonic()

        def update(self, n: float | None = 1) -> bool | None:
            self._done += int(n or 0)
            if self._is_of_all and time.monotonic() - self._said >= SAY_SECONDS:
                self._said = time.monotonic()
                log.info("%s: %.0f of %.0f MB", base, self._done / 1e6, (self.total or 0) / 1e6)
            return None

        def set_description(self, desc: str | None = None, refresh: bool | None = True) -> None:
            if self._is_of_all and self._done:
                log.info("%s: whole, %.0f MB", base, self._done / 1e6)

    return Lines
