"""Snapshots: folders written once, of JSONL files and a `manifest.json` that is written last, by rename.

A folder is named by the digest of what it holds, so the same rows always give the same folder; a folder without
a manifest is an unfinished one and is written again. Which of them the nights go on from stands beside them in
`current.json`, since a folder of old may become the newest state again (an answer that was changed and changed back).
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from ghostwriter.errors import SnapshotError
from ghostwriter.files import is_going, make_folder, write_durably

MANIFEST = "manifest.json"
CURRENT = "current.json"
HOW_TO_NAME = (
    "Write the name of a finished folder there, or its first digits, as Ghostwriter's page lists them; "
    "or leave the field empty for the newest one."
)
Row = Mapping[str, Any]


class FileEntry(BaseModel):
    """One file of a snapshot: its SHA-256 (hex) and how many rows it has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sha256: str
    rows: int


class Manifest(BaseModel):
    """What a snapshot holds, where it came from, and what was left out and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    writer: str
    digest: str
    created: datetime
    files: dict[str, FileEntry]
    parents: tuple[str, ...] = ()
    dropped: dict[str, int] = {}
    facts: dict[str, Any] = {}


def write_snapshot(
    parent: Path,
    kind: str,
    writer: str,
    files: Mapping[str, Iterable[Row]],
    *,
    parents: tuple[str, ...] = (),
    dropped: Mapping[str, int] | None = None,
    facts: Mapping[str, Any] | None = None,
    documents: Mapping[str, str] | None = None,
) -> Path:
    """Write `files` (name to rows) as a new folder under `parent` and return it.

    A finished one with the same rows stays as it is; only what its manifest says of its making is brought up to date.
    `documents` (name to text) stand beside the rows and describe them; the digest is of the rows only.
    """
    encoded = {name: [_encode(row) for row in rows] for name, rows in files.items()}
    entries = {name: FileEntry(sha256=_sha256(lines), rows=len(lines)) for name, lines in encoded.items()}
    digest = hashlib.sha256("".join(f"{name} {entries[name].sha256}\n" for name in sorted(entries)).encode()).hexdigest()
    folder = parent / folder_name(digest)
    facts_of_it = {"parents": parents, "dropped": dict(dropped or {}), "facts": dict(facts or {})}
    if (folder / MANIFEST).exists() and _renewed(folder, facts_of_it):
        return folder
    make_folder(folder)
    for name, lines in encoded.items():
        write_durably(folder / name, b"".join(lines))
    for name, text in (documents or {}).items():
        write_durably(folder / name, text.encode())
    manifest = Manifest(
        kind=kind,
        writer=writer,
        digest=digest,
        created=datetime.now(UTC),
        files=entries,
        **facts_of_it,
    )
    write_durably(folder / MANIFEST, (manifest.model_dump_json(indent=2) + "\n").encode())
    return folder


def folder_name(digest: str) -> str:
    """The name of the folder of rows with this digest."""
    return digest[:16]


def set_current(folder: Path) -> None:
    """Make a finished snapshot the one its siblings' readers go on from."""
    write_durably(folder.parent / CURRENT, (json.dumps({"folder": folder.name}) + "\n").encode())


def forget_current(parent: Path) -> None:
    """Have the nights go on from none of these until the next `set_current`, which is the next night's."""
    write_durably(parent / CURRENT, (json.dumps({"folder": None}) + "\n").encode())


def newest(parent: Path) -> Path | None:
    """The snapshot the nights go on from: the one `current.json` names, else the last one written.

    None without a valid one, and after `forget_current`: an older one, or an experiment's, must not step in for what was purged.
    """
    name = current_name(parent)
    if name is None or (name and _created(parent / name)):
        return parent / name if name else None
    written = {folder: created for folder in finished(parent) if (created := _created(folder))}
    return max(written, key=lambda folder: written[folder], default=None)


def finished(parent: Path) -> list[Path]:
    """The finished snapshots right below `parent`, sorted by name; without those that are being removed."""
    folders = (path.parent for path in parent.glob(f"*/{MANIFEST}"))
    return sorted(folder for folder in folders if not is_going(folder))


def find(parent: Path, named: str) -> Path:
    """The finished snapshot right below `parent` that a person means: by name, the first digits of it, or path.

    Raises SnapshotError when it is none of these, or more than one.
    """
    path = Path(named.strip())
    is_below = path.parent.resolve() == parent.resolve() if path.is_absolute() else str(path) == path.name
    own = [folder for folder in finished(parent) if is_below and not folder.is_symlink()]
    begun = [folder for folder in own if folder.name.startswith(path.name or "/")]
    exact = [folder for folder in begun if folder.name == path.name] or begun
    if len(exact) != 1:
        several = ", ".join(folder.name for folder in exact[:5])
        raise SnapshotError(
            f"{named!r} names more than one folder: {several} in {parent}. {HOW_TO_NAME}"
            if exact
            else f"{named!r} names nothing in {parent}. {HOW_TO_NAME}"
        )
    return exact[0]


def current_name(parent: Path) -> str | None:
    """The name in `current.json`; empty without one that can be read, None where it says that there is none."""
    try:
        folder = json.loads((parent / CURRENT).read_bytes())["folder"]
        return None if folder is None else Path(str(folder)).name
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return ""


def _created(folder: Path) -> datetime | None:
    """When a snapshot was written; None for one that is unfinished or whose manifest cannot be read."""
    try:
        return read_manifest(folder).created
    except (SnapshotError, ValidationError):
        return None


def _renewed(folder: Path, facts: Mapping[str, Any]) -> bool:
    """Bring what a finished snapshot says of its making up to date; False when its manifest cannot be read, so that it is written anew.

    The same rows can come from other answers, at another cost, with other rows left out.
    """
    try:
        before = read_manifest(folder)
    except ValidationError:
        return False
    after = Manifest.model_validate({**before.model_dump(), **facts})
    if after.model_dump_json() != before.model_dump_json():
        write_durably(folder / MANIFEST, (after.model_dump_json(indent=2) + "\n").encode())
    return True


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a finished snapshot. Raises SnapshotError when there is none."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except FileNotFoundError as error:
        raise SnapshotError(f"{folder} holds no finished snapshot (no {MANIFEST}). Run the stage that writes it again.") from error


def read_rows(folder: Path, name: str) -> list[dict[str, Any]]:
    """The rows of one file of a finished snapshot. Raises SnapshotError when the file is not the one the manifest names."""
    entry = read_manifest(folder).files.get(name)
    if entry is None:
        raise SnapshotError(f"{folder} has no file {name}.")
    lines = (folder / name).read_bytes().splitlines(keepends=True)
    if _sha256(lines) != entry.sha256:
        raise SnapshotError(f"{folder / name} was changed after it was written. Remove the folder and run its stage again.")
    return [json.loads(line) for line in lines]


def _encode(row: Row) -> bytes:
    return (json.dumps(row, ensure_ascii=False, sort_keys=True) + "\n").encode("utf-8", errors="replace")


def _sha256(lines: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for line in lines:
        digest.update(line)
    return digest.hexdigest()
