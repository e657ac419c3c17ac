"""From a few numbers to a dataset folder of multiplications: chains to train on, and sets of questions nobody trained on.

Which pairs are held out is decided by a salted hash of the two numbers, whichever comes first; so no training row of any
run can hold a pair that any run is examined on.
"""

import hashlib
import json
import os
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

from training.arithmetic import PHRASINGS, TRAINABLE, chain, question
from training.contract import HELDOUT_FILE, TRAINING_FILES, MultiplicationData
from training.errors import QuestionError

Pair = tuple[int, int]
Row = dict[str, Any]

DIRECT_FILE = TRAINING_FILES["direct"][0]
REWORDED_FILE, BEYOND_FILE, MANIFEST = "reworded.jsonl", "beyond.jsonl", "manifest.json"
REWORDED = (1, 2, 3, 4, 5, 6, TRAINABLE, TRAINABLE + 1)
"""Phrasings the examination also asks in; the last two are never trained on."""
NAME = "multiplication"
SALT, ONE_IN = "multiplication-held-out", 5
FEW_DIGITS = 2
"""Up to so many digits, all pairs there are can be listed (9,801)."""


def is_held_out(x: int, y: int) -> bool:
    """Whether a pair is only ever examined: one in five are."""
    digest = hashlib.sha256(f"{SALT} {min(x, y)} {max(x, y)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % ONE_IN == 0


def generate(n: int, digits: int, seed: int, phrasings: int = TRAINABLE) -> list[Row]:
    """`n` training rows of numbers up to `digits` digits, asked in the first `phrasings` ways in turn. Raises QuestionError."""
    if n < 1 or digits < 1:
        raise QuestionError(f"{n} samples of {digits} digits cannot be made; both must be 1 or more.")
    if not 1 <= phrasings <= TRAINABLE:
        raise QuestionError(f"{phrasings} phrasings cannot be trained on; choose 1 to {TRAINABLE}.")
    pairs = _draw(n, digits, random.Random(f"{seed} training"), lambda x, y: not is_held_out(x, y))
    rounds = [divmod(index, len(pairs)) for index in range(n)]
    return [_row(*pairs[place], (place + again) % phrasings) for again, place in rounds]


def unseen(n: int, digits: int, seed: int) -> list[Pair]:
    """`n` held-out pairs, or all there are if they are fewer."""
    return _draw(n, digits, random.Random(f"{seed} unseen"), is_held_out)


def beyond(n: int, digits: int, seed: int) -> list[Pair]:
    """`n` pairs of numbers with one digit more than `digits`."""
    longer = 10**digits
    return _draw(n, digits + 1, random.Random(f"{seed} beyond"), lambda x, y: x >= longer and y >= longer)


def dataset_files(data: MultiplicationData) -> dict[str, list[Row]]:
    """The files of the dataset, name to rows. Raises QuestionError."""
    pairs = unseen(data.pairs, data.digits, data.seed)
    return {
        DIRECT_FILE: generate(data.samples, data.digits, data.seed, data.phrasings),
        HELDOUT_FILE: [_row(x, y, 0) for x, y in pairs],
        REWORDED_FILE: [_row(x, y, phrasing) for phrasing in REWORDED for x, y in pairs[: data.reworded_pairs]],
        BEYOND_FILE: [_row(x, y, 0) for x, y in beyond(data.beyond_pairs, data.digits, data.seed)],
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


def _row(x: int, y: int, phrasing: int) -> Row:
    messages = [{"role": "user", "content": question(x, y, phrasing)}, {"role": "assistant", "content": chain(x, y)}]
    return {"messages": messages, "x": x, "y": y, "phrasing": phrasing}


def _draw(n: int, digits: int, generator: random.Random, keep: Callable[[int, int], bool]) -> list[Pair]:
    """`n` different pairs that `keep` lets pass, or all there are if they are fewer."""
    largest = 10**digits - 1
    if digits <= FEW_DIGITS:
        pairs = [(x, y) for x, y in product(range(1, largest + 1), repeat=2) if keep(x, y)]
        return generator.sample(pairs, min(n, len(pairs)))
    found: dict[Pair, None] = {}
    while len(found) < n:
        pair = generator.randint(1, largest), generator.randint(1, largest)
        if keep(*pair):
            found[pair] = None
    return list(found)


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
    unfinished = path.with_name(path.name + ".unfinished")
    with unfinished.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
