"""Answers from files: JSONL with one answer a line, or a folder of text, Markdown and HTML files (and JSONL)."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ghostwriter.collecting.sources.errors import SourceFileUnusable
from ghostwriter.collecting.sources.listed import ListedSource
from ghostwriter.collecting.sources.record import BodyKind, Record, storable

KINDS: dict[str, BodyKind] = {".txt": "text", ".md": "markdown", ".markdown": "markdown", ".html": "html", ".htm": "html"}
BODY_KEYS: dict[str, BodyKind] = {"text": "text", "answer": "text", "markdown": "markdown", "html": "html", "content": "html"}
"""Keys of a JSONL row that may hold the body, and what it is; the first one that is there counts."""
MOST_BAD_LINES = 0.5
Json = dict[str, Any]


def open_files(path: Path) -> ListedSource:
    """The answers under `path`. Bad lines are counted as skipped; raises SourceFileUnusable when most are bad, or there is nothing."""
    if not path.exists():
        raise SourceFileUnusable(
            f"{path} does not exist. `account` in the writer file names a JSONL file, or a folder of .txt, .md or .html files."
        )
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in {".jsonl", *KINDS}) if path.is_dir() else [path]
    records: dict[str, Record] = {}
    skipped, problem = 0, ""
    for file in files:
        for record, why in _read(file, path):
            if record is None:
                skipped, problem = skipped + 1, problem or why
            else:
                records[record.id] = record
    if not records:
        raise SourceFileUnusable(f"{path} holds no answers. {problem}".strip())
    if skipped > MOST_BAD_LINES * (skipped + len(records)):
        raise SourceFileUnusable(f"{path}: {skipped} lines cannot be read, only {len(records)} can. The first problem: {problem}")
    newest_first = sorted(records.values(), key=lambda record: (-record.created, record.id))
    return ListedSource(newest_first, total=len(records), skipped=skipped, complete=not skipped)


def _read(file: Path, root: Path) -> Iterator[tuple[Record | None, str]]:
    """Records of one file, or None and the reason."""
    try:
        text = _decode(file.read_bytes())
    except OSError as error:
        yield None, f"{file}: {error.strerror}."
        return
    if file.suffix.lower() not in KINDS:
        for number, line in enumerate(text.split("\n"), start=1):
            if line.strip():
                yield _row(line, f"{file} line {number}")
        return
    yield (_document(file, root, text), "") if text.strip() else (None, f"{file} is empty.")


def _row(line: str, where: str) -> tuple[Record | None, str]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None, f"{where} is no JSON."
    if not isinstance(row, dict):
        return None, f"{where} is no JSON object."
    key = next((key for key in BODY_KEYS if isinstance(row.get(key), str) and row[key].strip()), None)
    if key is None:
        return None, f"{where} has no text: none of the keys {', '.join(BODY_KEYS)}."
    question = _text(row, "question", "title")
    answer = _text(row, "id") or hashlib.sha256(f"{question}\n{row[key]}".encode(errors="replace")).hexdigest()[:16]
    created = _time(row, "created", "created_time", "created_at", "date")
    return Record(
        id=answer[:200],
        question_id=_text(row, "question_id") or _question_id(question, answer),
        question=question or None,
        url=_text(row, "url", "link"),
        author_id=_text(row, "author_id", "author"),
        body=storable(row[key]),
        body_kind=BODY_KEYS[key],
        created=created,
        updated=_time(row, "updated", "updated_time", "updated_at") or created,
        reuse=_text(row, "reuse", "license") or None,
        flags=() if question else ("question_unavailable",),
        raw=row,
    ), ""


def _document(file: Path, root: Path, text: str) -> Record:
    """A file of its own: the question is its first heading (Markdown), else the file's name."""
    name = file.relative_to(root).with_suffix("").as_posix() if file != root else file.stem
    first, _, rest = text.lstrip("\n").partition("\n")
    kind = KINDS[file.suffix.lower()]
    heading = first[2:].strip() if kind == "markdown" and first.startswith("# ") else ""
    question, changed = storable(heading or file.stem), int(file.stat().st_mtime)
    return Record(
        id=storable(name)[:200],
        question_id=_question_id(question, name),
        question=question,
        body=storable(rest if heading else text),
        body_kind=kind,
        created=changed,
        updated=changed,
        raw={"file": name},
    )


def _decode(content: bytes) -> str:
    """Text in UTF-8 (with or without a mark), UTF-16 with a mark, or GB 18030."""
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return content.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode("utf-8", errors="replace")


def _question_id(question: str, answer: str) -> str:
    return hashlib.sha256((question or answer).encode(errors="replace")).hexdigest()[:16]


def _text(row: Json, *keys: str) -> str:
    for key in keys:
        value = row.get(key)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return storable(str(value))
    return ""


def _time(row: Json, *keys: str) -> int:
    """Unix seconds from a number or an ISO date; 0 when there is none."""
    for key in keys:
        value = row.get(key)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 253_402_300_800:
            return int(value)
        if isinstance(value, str):
            try:
                parsed = datetime.fromisoformat(value)
            except ValueError:
                continue
            return max(0, int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()))
    return 0
