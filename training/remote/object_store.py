"""An fsspec URL as a place for files and folders: a folder is sent whole, marked last, and fetched only when it is marked.

Names are paths below the URL. Beside a folder that arrived whole stands `NAME.complete`: its files as JSON, each with its size
(bytes) and its time (whole seconds); fetching sets those times, so a folder that is the same on both sides is known by its mark.
Single files are replaced whole, as object stores do. Importable without torch, Airflow or MLflow; fsspec is imported when a URL is opened.
"""

import errno
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from training.errors import RemoteDataError
from training.files import UNFINISHED

COMPLETE = ".complete"
PACKAGES = {"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs", "az": "adlfs"}
"""Protocol to the pip package that speaks it; fsspec knows a few others itself."""
ADVICE = {
    "NoCredentialsError": "Name a file of credentials in AWS_SHARED_CREDENTIALS_FILE.",
    "PartialCredentialsError": "The credentials in AWS_SHARED_CREDENTIALS_FILE are cut: both key and secret are needed.",
    "PermissionError": "The store refuses these credentials, or what they may do: check them, and the bucket's policy.",
    "FileNotFoundError": "Make the bucket, or correct the URL.",
    "EndpointConnectionError": "Check AWS_ENDPOINT_URL, and that the network lets this machine reach it.",
}
"""Kind of error to what a person should do."""
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""The disk on this side: other code has the words for it."""

Listing = dict[str, list[int]]


class Store:
    """What lies below one URL. Everything here raises RemoteDataError, which says what the URL's other side said and what to do."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._files, self._root = _open(self.url)

    def send_file(self, path: Path, name: str) -> None:
        """Put one file, replacing an older one."""
        with self._explained(name):
            self._put([path], [name])

    def send_bytes(self, content: bytes, name: str) -> None:
        """Put a small file."""
        with self._explained(name):
            self._files.pipe_file(self._at(name), content)

    def fetch_file(self, name: str, path: Path) -> bool:
        """Get one file, which appears by rename; False when there is none."""
        with self._explained(name):
            try:
                self._get([name], [path])
            except FileNotFoundError:
                return False
        return True

    def read_all(self, name: str) -> dict[str, bytes]:
        """Every file at any depth below `name`, by its path below it."""
        with self._explained(name):
            found = self._files.cat(paths) if (paths := self._files.find(self._at(name))) else {}
        return {path.removeprefix(self._at(name)).lstrip("/"): content for path, content in sorted(found.items())}

    def files(self, name: str) -> list[str]:
        """Names of the files directly in a folder, marks left out."""
        return [each for each in self._names(name) if not each.endswith(COMPLETE)]

    def folders(self, name: str) -> list[str]:
        """Names of the whole folders directly in a folder."""
        return [each.removesuffix(COMPLETE) for each in self._names(name) if each.endswith(COMPLETE)]

    def send_folder(self, folder: Path, name: str) -> None:
        """Put a folder unless it is there already, the same; its mark is written last. One that changes meanwhile is left unmarked."""
        listing = list_files(folder)
        with self._explained(name):
            there = self._listing(name)
            if not listing or there == listing:
                return
            if there is not None:
                self._remove(name + COMPLETE)
            self._put([folder / each for each in listing], [f"{name}/{each}" for each in listing])
            if list_files(folder) == listing:
                self._files.pipe_file(self._at(name + COMPLETE), json.dumps(listing).encode())

    def fetch_folder(self, name: str, folder: Path) -> bool:
        """Get a whole folder, without what is there already; False when there is none, or not all of it."""
        with self._explained(name):
            listing = self._listing(name)
            if listing is None:
                return False
            have = list_files(folder)
            missing = [each for each in listing if have.get(each) != listing[each]]
            paths = [_inside(folder, each) for each in missing]
            self._get([f"{name}/{each}" for each in missing], paths)
            for each, path in zip(missing, paths, strict=True):
                size, seconds = listing[each]
                if path.stat().st_size != size:
                    raise RemoteDataError(f"{self.url}/{name}/{each} has {path.stat().st_size} bytes and not {size}. Run it again.")
                os.utime(path, (seconds, seconds))
        return True

    def remove_folder(self, name: str) -> None:
        """Remove a folder, its mark first."""
        with self._explained(name):
            self._remove(name + COMPLETE)
            self._remove(name)

    def _names(self, name: str) -> list[str]:
        with self._explained(name):
            try:
                found = self._files.ls(self._at(name), detail=True)
            except FileNotFoundError:
                return []
        names = [one["name"].rstrip("/").rpartition("/")[2] for one in found if one["type"] == "file"]
        return sorted(each for each in names if not set(each.removesuffix(COMPLETE)) <= {"."})  # a folder called `..` would lead out

    def _listing(self, name: str) -> Listing | None:
        try:
            listing: Listing = json.loads(self._files.cat_file(self._at(name + COMPLETE)))
        except FileNotFoundError:
            return None
        return listing

    def _put(self, paths: Sequence[Path], names: Sequence[str]) -> None:
        self._files.put([str(path) for path in paths], [self._at(name) for name in names])

    def _get(self, names: Sequence[str], paths: Sequence[Path]) -> None:
        """All of them at once where the protocol can; each appears by rename when all are there."""
        unfinished = [path.with_name(path.name + UNFINISHED) for path in paths]
        for path in unfinished:
            path.parent.mkdir(parents=True, exist_ok=True)
        try:
            if names:
                self._files.get([self._at(name) for name in names], [str(path) for path in unfinished])
        except BaseException:
            for path in unfinished:
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
            raise
        for path, whole in zip(unfinished, paths, strict=True):
            path.replace(whole)

    def _remove(self, name: str) -> None:
        try:
            self._files.rm(self._at(name), recursive=True)
        except FileNotFoundError:
            return

    def _at(self, name: str) -> str:
        return f"{self._root}/{name}"

    @contextmanager
    def _explained(self, name: str) -> Iterator[None]:
        """Turn what the libraries raise into one sentence."""
        try:
            yield
        except _failures() as error:
            if isinstance(error, OSError) and error.errno in FULL:
                raise
            raise RemoteDataError(_sentence(f"{self.url}/{name}", error)) from error


def list_files(folder: Path) -> Listing:
    """Size and time of every finished file in a folder, by its path below it; empty when there is no folder, or it is being removed."""
    try:
        paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(UNFINISHED))
        stats = {path.relative_to(folder).as_posix(): path.stat() for path in paths}
    except FileNotFoundError:
        return {}
    return {name: [stat.st_size, int(stat.st_mtime)] for name, stat in stats.items()}


def _open(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the URL's path in it."""
    import fsspec  # type: ignore[import-untyped]

    protocol = urlsplit(url).scheme
    if urlsplit(url).password:
        raise RemoteDataError(f"The {protocol} URL of the data holds a password, which would stand in logs. Credentials are files.")
    if not protocol:
        raise RemoteDataError(f"{url!r} is no URL of a data store. Name one like s3://bucket/folder.")
    options: Mapping[str, Any] = {"auto_mkdir": True} if protocol == "file" else {"use_listings_cache": False}
    try:
        files, root = fsspec.url_to_fs(url, skip_instance_cache=True, **options)
    except ImportError as error:
        package = f"pip install {PACKAGES[protocol]}" if protocol in PACKAGES else str(error)
        raise RemoteDataError(f"{url}: the package that speaks {protocol}:// is not installed: {package}.") from error
    except ValueError as error:
        raise RemoteDataError(f"{url}: no protocol {protocol}:// is known. Name a URL like s3://bucket/folder.") from error
    return files, str(root).rstrip("/")


def _inside(folder: Path, name: str) -> Path:
    """The path of a listed file. Raises RemoteDataError for a name that leads out of the folder."""
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise RemoteDataError(f"A list of files in the store names {name!r}, which lies outside its folder. Nothing was fetched from it.")
    return folder / name


def _failures() -> tuple[type[Exception], ...]:
    """What reading and writing raise, and what botocore does when it is in use: its errors are no OSErrors."""
    if "botocore" not in sys.modules:
        return (OSError, ValueError)
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    return (OSError, ValueError, BotoCoreError, ClientError)


def _sentence(where: str, error: Exception) -> str:
    kinds = [kind.__name__ for kind in type(error).__mro__]
    advice = next((ADVICE[kind] for kind in kinds if kind in ADVICE), "Run it again; if that does not help, look at the store.")
    said = str(error).rstrip(".") or kinds[0]
    return f"{where}: {said}. {advice}"
