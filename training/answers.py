"""The answers of one arm, kept batch by batch in a file, so that a killed evaluation does not ask again."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from training.generate import Answer

Ask = Callable[[Sequence[list[int]]], list[Answer]]


def answer_all(path: Path, prompts: Sequence[list[int]], batch: int, ask: Ask, say: Callable[[int], None]) -> list[Answer]:
    """Answers to all prompts, in order; `say` gets the count done.

    Those in `path` are taken from there, whole batches only, so that batches are the same as in an undisturbed run.
    """
    answers = _read(path)
    answers = answers[: len(answers) - len(answers) % batch] if len(answers) < len(prompts) else answers
    path.write_bytes(b"".join(map(_line, answers)))
    say(len(answers))
    with path.open("ab") as file:
        while len(answers) < len(prompts):
            new = ask(prompts[len(answers) : len(answers) + batch])
            file.write(b"".join(map(_line, new)))
            file.flush()
            answers += new
            say(len(answers))
    return answers


def _read(path: Path) -> list[Answer]:
    if not path.exists():
        return []
    lines = path.read_bytes().splitlines(keepends=True)
    return [Answer(**json.loads(line)) for line in lines if line.endswith(b"\n")]


def _line(answer: Answer) -> bytes:
    return (json.dumps(asdict(answer), ensure_ascii=False) + "\n").encode()
