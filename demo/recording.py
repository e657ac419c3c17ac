"""Recorded answers of a teacher, by the question in the prompt: each is given once, the next sample of a question each time.

A prompt that asks for a plain rewrite of an answer gets the one recorded for its question, always the same. What was given for which
other prompt is kept in a file, so that a call that is made again gets the same answer, and a server that starts again goes on with
the next.
"""

import json
import threading
from collections import defaultdict
from hashlib import sha256
from pathlib import Path

QUESTION, ANSWER = "\nQuestion: ", "\n\nAnswer: "
"""Where the question begins in a prompt of plugins/ghostwriter/prompts/en.md: the last time it stands there; and where the answer to be
rewritten begins in one of prompts/plain/en.md."""
REWRITE = "Rewrite the answer below"
"""How that one begins."""


class Recording:
    """The answers of one file. Rows have `question`, `sample` and `answer`; those of `rewrites` have `question` and `plain`."""

    def __init__(self, path: Path, given: Path | None = None, rewrites: Path | None = None) -> None:
        lines = rewrites.read_text(encoding="utf-8").splitlines() if rewrites else []
        self._rewrites: dict[str, str] = {row["question"]: row["plain"] for row in map(json.loads, lines)}
        self._answers: dict[str, list[str]] = defaultdict(list)
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for row in sorted(rows, key=lambda row: row["sample"]):
            self._answers[row["question"]].append(row["answer"])
        self._lock = threading.Lock()
        self._file = given
        self._given = _read_given(given)
        self._used: dict[str, int] = defaultdict(int)
        for question, _ in self._given.values():
            self._used[question] += 1

    def answer(self, prompt: str) -> str | None:
        """The answer to this prompt; None when its question has none left."""
        if prompt.startswith(REWRITE):
            return self._rewrites.get(question_of(prompt.partition(ANSWER)[0]))
        question = question_of(prompt)
        with self._lock:
            name = sha256(prompt.encode()).hexdigest()[:16]
            if name not in self._given:
                if self._used[question] >= len(self._answers.get(question, ())):
                    return None
                self._keep(name, question, self._used[question])
            _, number = self._given[name]
            return self._answers[question][number]

    def _keep(self, name: str, question: str, number: int) -> None:
        self._given[name] = (question, number)
        self._used[question] += 1
        if self._file:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a", encoding="utf-8") as file:
                file.write(json.dumps([name, question, number]) + "\n")


def question_of(prompt: str) -> str:
    """The question a teacher's prompt ends with."""
    return prompt.rpartition(QUESTION)[2].strip()


def _read_given(path: Path | None) -> dict[str, tuple[str, int]]:
    """Prompt to question and number; a last line that a kill cut short is left out."""
    given: dict[str, tuple[str, int]] = {}
    if path and path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                name, question, number = json.loads(line)
            except ValueError:
                continue
            given[name] = (question, number)
    return given
