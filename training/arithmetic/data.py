"""From a few numbers to a dataset folder of multiplications: chains to train on, and sets of questions nobody trained on."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from training.arithmetic.chains import PHRASINGS, TRAINABLE, Row, as_row, beyond, generate, unseen
from training.contract import HELDOUT_FILE, TRAINING_FILES, MultiplicationData
from training.files import write_file

DIRECT_FILE = TRAINING_FILES["direct"][0]
REWORDED_FILE, BEYOND_FILE, MANIFEST = "reworded.jsonl", "beyond.jsonl", "manifest.json"
REWORDED = (1, 2, 3, 4, 5, 6, TRAINABLE, TRAINABLE + 1)
"""Phrasings the examination also asks in; the last two are never trained on."""
NAME = "multiplication"


def dataset_files(data: MultiplicationData) -> dict[str, list[Row]]:
    """The files of the dataset, name to rows. Raises QuestionError."""
    pairs = unseen(data.pairs, data.digits, data.seed)
    longer = beyond(data.beyond_pairs, data.digits, data.seed) if data.beyond_pairs else []
    return {
        DIRECT_FILE: generate(data.samples, data.digits, data.seed, data.phrasings),
        HELDOUT_FILE: [as_row(x, y, 0) for x, y in pairs],
        REWORDED_FILE: [as_row(x, y, phrasing) for phrasing in REWORDED for x, y in pairs[: data.reworded_pairs]],
        BEYOND_FILE: [as_row(x, y, 0) for x, y in longer],
    }


def write_dataset(parent: Path, data: MultiplicationData) -> Path:
    """Write the dataset into a folder under `parent` that is named by its digest, and return it; a finished one is returned as it is.

    Its manifest, written last, has the form of all snapshots' manifests.
    """
    encoded = {
        name: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode() for name, rows in dataset_files(data).items()
    }
    files = {name: {"sha256": hashlib.sha256(content).hexdigest(), "rows": content.count(b"\n")} for name, content in encoded.items()}
    facts = {**data.model_dump(), "phrasings_trained": list(PHRASINGS[: data.phrasings])}
    digest = hashlib.sha256(json.dumps([files, data.phrasings], sort_keys=True).encode()).hexdigest()
    folder = parent / digest[:16]
    if not (folder / MANIFEST).exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in encoded.items():
            _write(folder / name, content)
        _write(folder / MANIFEST, _manifest(digest, files, facts))
    return folder


def read_questions(folder: Path) -> dict[str, list[Row]]:
    """The sets of questions in a dataset folder: `unseen`, `reworded-N` and `beyond`, less those without a question."""
    sets = {"unseen": _read(folder / HELDOUT_FILE)}
    for row in _read(folder / REWORDED_FILE):
        sets.setdefault(f"reworded-{row['phrasing']}", []).append(row)
    return {name: rows for name, rows in {**sets, "beyond": _read(folder / BEYOND_FILE)}.items() if rows}


def read_facts(folder: Path) -> dict[str, Any]:
    """What the dataset in a folder was made with (MultiplicationData's fields)."""
    facts: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())["facts"]
    return facts


def _manifest(digest: str, files: Mapping[str, Any], facts: Mapping[str, Any]) -> bytes:
    created = datetime.now(UTC).isoformat()
    head = {"kind": "dataset", "writer": NAME, "digest": digest, "created": created}
    return (
        json.dumps({**head, "files": files, "parents": [], "dropped": {}, "facts": facts}, ensure_ascii=False, indent=2) + "\n"
    ).encode()


def _read(path: Path) -> list[Row]:
    lines: Iterable[str] = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [json.loads(line) for line in lines]


def _write(path: Path, content: bytes) -> None:
    write_file(path, content)
