"""The stages of one writer's chain as commands that people run, and the invented texts that they work on: for full_size.py."""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from benchmarks.parts.authors import Author
from benchmarks.parts.watched import Usage, watched
from training.contract import (
    ANSWERED_FILE,
    REQUEST_FILE,
    RESULT_FILE,
    ArmRequest,
    EvaluateRequest,
    Recipe,
    TrainRequest,
    TrainResult,
    load_recipe,
    read_json,
    write_json,
)

ROOT = Path(__file__).parents[2]
TRAINING_PYTHON = ROOT / ".venv-training" / "bin" / "python"
WRITER, TEACHER, OTHERS, QUESTIONS = 4000, 10_000, 2000, 200
FEWEST, FEWEST_QUESTIONS = 60, 2
"""In a run that is as good as empty: enough to be distilled at all."""
STEM = "invented"
WRITER_FILE = """
name = "Invented"
language = "{language}"
[source]
kind = "jsonl"
account = "{folder}/answers.jsonl"
[teacher]
connection = "teacher"
model = "test-teacher"
answers = {wanted}
concurrency = 64
max_tokens = 2000
[training]
arm = "mixed"
recipe = "tiny"
[evaluation]
contrast = "{folder}/others.jsonl"
"""
SNAPSHOT = """
from ghostwriter.collecting.answers import snapshot_answers
from ghostwriter.home import Home
from ghostwriter.writer import load_writer
snapshot_answers(load_writer("invented"), Home.default())
"""
ARMS = ("direct", "distilled", "mixed")


@dataclass(frozen=True)
class Stage:
    """`kept`: how much of it is done. It is at work once that has grown; where it is written at once, some seconds after it has said so."""

    name: str
    command: Callable[[], list[str]]
    kept: Callable[[], int]
    says: str | None = None
    after: float = 0.0


class Chain:
    """One writer's files, and the stages that work on them, in their order."""

    def __init__(self, folder: Path, texts: "Texts", size: float, teacher: str) -> None:
        self.folder, self.home, self._teacher = folder, folder / "home", teacher
        self._texts, self._size = texts, size
        self.environment = {
            **os.environ,
            "GHOSTWRITER_HOME": str(self.home),
            "GHOSTWRITER_WRITERS": str(folder),
            "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}",
            "GIT_PYTHON_REFRESH": "quiet",
        }
        folder.mkdir(exist_ok=True)
        texts.write(folder, size)
        (self.home / "models").mkdir(parents=True)
        subprocess.run([TRAINING_PYTHON, "-m", "benchmarks.parts.tiny_base", self.base, folder / "answers.jsonl"], cwd=ROOT, check=True)

    @property
    def base(self) -> Path:
        return self.home / "models" / "tiny"

    @cached_property
    def stages(self) -> tuple[Stage, ...]:
        folders = {name: self.home / name / STEM for name in ("answers", "datasets")}
        answered = self.home / "models" / "answers"
        run = self._run_folder("mixed")
        return (
            Stage("collect", lambda: self._ghostwriter("collect", "--pace", "0"), lambda: self._count("answers")),
            Stage("snapshot", lambda: [sys.executable, "-c", SNAPSHOT], lambda: _finished(folders["answers"]), "", 2.5),
            Stage("distil", self._distil, lambda: self._count("teacher_answers")),
            Stage("dataset again", self._distil, lambda: _finished(folders["datasets"]), "Distilling for", 1.5),
            Stage("tokenise, train", lambda: self._training("train", self._train("mixed")), lambda: _steps(run)),
            Stage("answer", lambda: self._training("evaluate", self._evaluate()), lambda: _lines(answered)),
            Stage(
                "measure", lambda: self._training("measure", self._long_answers()), lambda: _finished(run, RESULT_FILE), "Measuring", 3.0
            ),
        )

    def run(self, stage: Stage) -> Usage:
        """One stage as a process of its own. Raises SystemExit with its last words when it fails."""
        usage = watched(stage.command(), self.environment, self._said)
        if usage.status:
            raise SystemExit(f"{stage.name} ended with status {usage.status}:\n{self._said.read_text()[-3000:]}")
        return usage

    def interrupt(self, stage: Stage) -> Usage:
        """The same, asked to end once it is at work."""
        before, since = stage.kept(), list[float]()

        def is_at_work(seconds: float) -> bool:
            if stage.says is None:
                return stage.kept() > before
            if not since and stage.says in self._said.read_text():
                since.append(seconds)
            return bool(since) and seconds - since[0] > stage.after

        return watched(stage.command(), self.environment, self._said, is_at_work)

    @property
    def _said(self) -> Path:
        return self.folder / "said.txt"

    def _ghostwriter(self, command: str, *more: str) -> list[str]:
        return [sys.executable, "-m", "ghostwriter", command, STEM, *more]

    def _distil(self) -> list[str]:
        (answers,) = (path.parent for path in (self.home / "answers" / STEM).glob("*/manifest.json"))
        return self._ghostwriter("distill", "--answers", str(answers), "--base-url", self._teacher)

    def _training(self, stage: str, request: Path) -> list[str]:
        return [str(TRAINING_PYTHON), "-m", "training", stage, str(request)]

    def _run_folder(self, arm: str) -> Path:
        return self.home / "runs" / STEM / arm

    def _dataset(self) -> Path:
        (dataset,) = (path.parent for path in (self.home / "datasets" / STEM).glob("*/manifest.json"))
        return dataset

    def _train(self, arm: str) -> Path:
        changes = {"base": str(self.base), "max_steps": 6, "max_length": 4000, "checkpoint_steps": 1}
        recipe = Recipe.model_validate({**load_recipe("tiny").model_dump(), **changes})
        run_folder, models = self._run_folder(arm), self.home / "models"
        return _written(TrainRequest(run_folder=run_folder, dataset=self._dataset(), arm=arm, recipe=recipe, models=models))

    def _evaluate(self) -> Path:
        for arm in ARMS:
            if not (self._run_folder(arm) / RESULT_FILE).exists():
                subprocess.run(self._training("train", self._train(arm)), cwd=ROOT, env=self.environment, check=True, capture_output=True)
        adapters = {arm: read_json(TrainResult, self._run_folder(arm) / RESULT_FILE).adapter for arm in ARMS}
        arms = [ArmRequest(name="base"), ArmRequest(name="few-shot", examples=1)]
        arms += [ArmRequest(name=arm, adapter=adapter) for arm, adapter in adapters.items()]
        request = EvaluateRequest(
            run_folder=self._run_folder("mixed") / "evaluation",
            dataset=self._dataset(),
            base=str(self.base),
            precision="fp32",
            arms=tuple(arms),
            candidate="mixed",
            questions=max(FEWEST_QUESTIONS, int(QUESTIONS * self._size)),
            max_new_tokens=24,
            cut_answers=True,
            models=self.home / "models",
        )
        return _written(request)

    def _long_answers(self) -> Path:
        """Answers as long as the writer's in the place of those of 24 tokens."""
        path = self._run_folder("mixed") / "evaluation" / ANSWERED_FILE
        answered = json.loads(path.read_text(encoding="utf-8"))
        for number, arm in enumerate(answered["arms"].values()):
            arm["texts"] = Author(10 + number, self._texts.language).texts(len(arm["texts"]))
        path.write_text(json.dumps(answered), encoding="utf-8")
        return path.with_name(REQUEST_FILE)

    def _count(self, table: str) -> int:
        path = self.home / "ghostwriter.db"
        if not path.exists():
            return 0
        with sqlite3.connect(path, timeout=30) as database:
            try:
                return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])
            except sqlite3.OperationalError:  # not made yet
                return 0


class Texts:
    """Everything that is invented once and used at every size."""

    def __init__(self, language: str) -> None:
        writer, teacher, others = (Author(seed, language) for seed in (1, 2, 3))
        self.language = language
        self._answers = [{"id": str(number), "question": f"{writer.text(8, 20)}", "answer": writer.text()} for number in range(WRITER)]
        self._others = [{"question": others.text(8, 20), "answer": others.text()} for _ in range(OTHERS)]
        self._teacher = teacher.texts(TEACHER)

    def write(self, folder: Path, size: float) -> None:
        """The writer's file, and what it names, with a share of all texts."""

        def some(count: int) -> int:
            return max(FEWEST, int(count * size))

        for name, rows in (("answers", self._answers[: some(WRITER)]), ("others", self._others[: some(OTHERS)])):
            (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        settings = WRITER_FILE.format(language=self.language, folder=folder, wanted=some(TEACHER))
        (folder / f"{STEM}.toml").write_text(settings)

    @contextmanager
    def teacher(self, folder: Path) -> Iterator[str]:
        """A teacher's address; it answers with these texts."""
        path = folder / "teacher.txt"
        path.write_text("".join(json.dumps(text) + "\n" for text in self._teacher))
        command = [sys.executable, ROOT / "benchmarks" / "parts" / "cheap_teacher.py", "--texts", path, "--latency", "0"]
        paths = {**os.environ, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=paths) as process:
            assert process.stdin and process.stdout
            yield process.stdout.readline().strip()
            process.stdin.close()


def _written(request: TrainRequest | EvaluateRequest) -> Path:
    request.run_folder.mkdir(parents=True, exist_ok=True)
    write_json(request, request.run_folder / REQUEST_FILE)
    return request.run_folder / REQUEST_FILE


def _finished(folder: Path, name: str = "manifest.json") -> int:
    return len(list(folder.glob(f"*/{name}")))


def _steps(run_folder: Path) -> int:
    """Steps up to the newest checkpoint."""
    return max((int(path.name.removeprefix("step-")) for path in run_folder.glob("checkpoints/step-??????")), default=0)


def _lines(folder: Path) -> int:
    return sum(path.read_bytes().count(b"\n") for path in folder.glob("*.jsonl"))
