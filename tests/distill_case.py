"""What tests of distillation start from: an invented writer, a snapshot of answers, and the test teacher's endpoint."""

import json
import random
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from ghostwriter.home import ROOT, Home
from ghostwriter.snapshot import read_rows, write_snapshot
from ghostwriter.teacher.client import Endpoint
from ghostwriter.writer import Writer
from tests.teacher_server import KEY, MODEL, TeacherServer, invent

PRICES = {"input_price": Decimal("2.5"), "cached_input_price": Decimal("1.25"), "output_price": Decimal("10")}


def make_writer(language: str = "en", *, budget: dict[str, Any] | None = None, **teacher: Any) -> Writer:
    """A writer whose teacher and student are the test teacher, with little patience."""
    settings = {"connection": "none", "model": MODEL, "answers": 30, "max_tokens": 400, "concurrency": 8, "timeout_seconds": 20}
    return Writer.model_validate(
        {
            "stem": "tester",
            "name": "Tess Ter",
            "language": language,
            "source": {"kind": "jsonl", "account": "none"},
            "teacher": {**settings, **teacher},
            "budget": budget or {},
            "student": {"connection": "student", "model": MODEL},
            "evaluation": {"heldout_share": 0.1},
        }
    )


def pairs(number: int, seed: int = 0, start: int = 0) -> list[dict[str, Any]]:
    """Rows of an answers snapshot, in invented words."""
    rows = []
    for index in range(start, start + number):
        chooser = random.Random(f"{seed} {index}")
        question = invent([{"role": "user", "content": f"question {chooser.random()}"}], (9, 12)).rstrip(".") + "?"
        answer = invent([{"role": "user", "content": f"answer {chooser.random()}"}], (70, 120))
        rows.append({"id": f"a{index}", "question_id": f"q{index}", "question": question, "text": answer, "created": 0, "updated": 0})
    return rows


def demo_pairs(name: str) -> list[dict[str, Any]]:
    """A demo corpus as rows of an answers snapshot."""
    lines = (ROOT / "demo" / "corpus" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [{**{key: value for key, value in row.items() if key != "answer"}, "text": row["answer"]} for row in rows]


def answers_of(home: Home, rows: Iterable[dict[str, Any]]) -> Path:
    """A finished snapshot of these rows."""
    return write_snapshot(home.answers("tester"), "answers", "tester", {"answers.jsonl": rows})


def endpoint(teacher: TeacherServer, key: str = KEY) -> Endpoint:
    """The test teacher's address."""
    return Endpoint(base_url=teacher.base_url, key=SecretStr(key))


def distilled(folder: Path) -> list[dict[str, Any]]:
    """The teacher's rows of a dataset."""
    return read_rows(folder, "distilled.jsonl")
