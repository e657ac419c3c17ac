"""Answers that a model gave before, kept in a file: a killed evaluation does not ask again, nor does the next night's.

The file is named by what decides an answer (base, adapter, precision, most new tokens), its lines by the prompt. Lines are only
ever appended; one cut by a kill is not read.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from training.generate import Answer

Ask = Callable[[Sequence[list[int]]], list[Answer]]


class KeptAnswers:
    """The answers of one model under one limit of new tokens."""

    def __init__(self, folder: Path, *identity: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:24]}.jsonl"
        self._answers: dict[str, Answer] = {}
        whole = self.path.read_bytes() if self.path.exists() else b""
        for line in whole.splitlines(keepends=True):
            if line.endswith(b"}\n"):
                row = json.loads(line)
                self._answers[row.pop("prompt")] = Answer(**row)
        if whole and not whole.endswith(b"\n"):
            self._append(b"\n")

    def answer_all(self, prompts: Sequence[list[int]], batch: int, ask: Ask, say: Callable[[int], None]) -> list[Answer]:
        """Answers to all prompts, in order: those kept, and for the rest `ask`, prompts of like length together.

        `say` gets the count done."""
        keys = [_key(prompt) for prompt in prompts]
        missing = sorted({key: prompt for key, prompt in zip(keys, prompts, strict=True) if key not in self._answers}.items(), key=_length)
        say(len(prompts) - len(missing))
        for start in range(0, len(missing), batch):
            part = missing[start : start + batch]
            answers = dict(zip((key for key, _ in part), ask([prompt for _, prompt in part]), strict=True))
            self._append(
                "".join(json.dumps({"prompt": key, **asdict(one)}, ensure_ascii=False) + "\n" for key, one in answers.items()).encode()
            )
            self._answers |= answers
            say(len(prompts) - len(missing) + start + len(part))
        return [self._answers[key] for key in keys]

    def _append(self, lines: bytes) -> None:
        with self.path.open("ab") as file:
            file.write(lines)


def _line(key: str, answer: Answer) -> str:
    return json.dumps({"prompt": key, **asdict(answer)}, ensure_ascii=False) + "\n"


def _key(prompt: list[int]) -> str:
    return hashlib.sha256(json.dumps(prompt).encode()).hexdigest()[:32]


def _length(item: tuple[str, list[int]]) -> int:
    return len(item[1])
