"""Answers that a model gave before, and losses it had, kept in files: a killed evaluation does not ask again, nor does the next night's.

The file is named by what decides an answer (base, adapter, precision, most new tokens), its lines by the prompt. Lines are only
ever appended; one cut by a kill is not read.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from training.bootstrap import Measured, ratio
from training.data import Row
from training.generate import Answer

Ask = Callable[[Sequence[list[int]]], list[Answer]]


class _Kept:
    """Lines of one model, each under the hash of some token ids."""

    def __init__(self, folder: Path, *identity: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]}.jsonl"
        self._rows: dict[str, dict[str, Any]] = {}
        whole = self.path.read_bytes() if self.path.exists() else b""
        for line in whole.splitlines(keepends=True):
            if line.endswith(b"}\n"):
                row = json.loads(line)
                self._rows[row.pop("of")] = row
        if whole and not whole.endswith(b"\n"):
            self._append(b"\n")

    def _add(self, rows: Mapping[str, dict[str, Any]]) -> None:
        self._append("".join(json.dumps({"of": key, **row}, ensure_ascii=False) + "\n" for key, row in rows.items()).encode())
        self._rows |= rows

    def _append(self, lines: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(lines)


class KeptAnswers(_Kept):
    """The answers of one model under one limit of new tokens."""

    def answer_all(self, prompts: Sequence[list[int]], batch: int, ask: Ask, say: Callable[[int], None]) -> list[Answer]:
        """Answers to all prompts, in order: those kept, and for the rest `ask`, prompts of like length together.

        `say` gets the count done."""
        keys = [_key(prompt) for prompt in prompts]
        missing = sorted({key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._rows}.items(), key=_length)
        say(len(prompts) - len(missing))
        for start in range(0, len(missing), batch):
            part = missing[start : start + batch]
            answers = ask([prompt for _, prompt in part])
            self._add({key: asdict(answer) for (key, _), answer in zip(part, answers, strict=True)})
            say(len(prompts) - len(missing) + start + len(part))
        return [Answer(**self._rows[key]) for key in keys]


class KeptLosses(_Kept):
    """The losses of one model on rows."""

    def mean(self, rows: Sequence[Row], nats_of: Callable[[Sequence[Row]], list[float]]) -> Measured:
        """The loss in nats an answer token; `nats_of` gives the nats of the rows that are not kept."""
        keys = [_key([row.answer_start, *row.ids]) for row in rows]
        missing = {key: row for key, row in zip(keys, rows, strict=True) if key not in self._rows}
        if missing:
            self._add({key: {"nats": nats} for key, nats in zip(missing, nats_of(list(missing.values())), strict=True)})
        return ratio([self._rows[key]["nats"] for key in keys], [len(row.ids) - row.answer_start for row in rows])


def _key(ids: list[int]) -> str:
    return hashlib.sha256(json.dumps(ids).encode()).hexdigest()[:32]


def _length(item: tuple[str, list[int]]) -> int:
    return len(item[1])
