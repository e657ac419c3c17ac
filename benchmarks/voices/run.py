"""Trains and asks all voices in one process, by the stages' own functions, and writes each as it ends.

What is written is not done again, on this machine or another. A voice that was begun and not written (the process died of it, or was
killed) is taken up after all others, so that one fault does not stop the rest.
"""

import gc
import json
import logging
import shutil
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from benchmarks.voices.jobs import RECIPE, SMALL, Job, Training
from training.answer.arms import SharedBase
from training.contract import (
    FIRST_STAGE,
    INVERSE_FILE,
    PAIRS_FILE,
    PREFERRING,
    RESULT_FILE,
    SELECTED_FILE,
    ArmRequest,
    EvaluateRequest,
    TrainRequest,
    TrainResult,
)
from training.fit.staged import FIRST_FOLDER
from training.fit.train import train
from training.measure.asking import Corpus, ask_arm, limit_of, load_corpus
from training.measure.selection import select
from training.progress import Progress
from training.signals import StopFlag

log = logging.getLogger(__name__)

ALL_QUESTIONS = 1000
BEGUN_FILE = "begun.txt"
SMALL_FILES = ("direct.jsonl", "distilled.jsonl", INVERSE_FILE)
NEWEST = 4
"""Voices whose time says how long the next one may take."""
KEPT = "The voices written so far are kept; run the same command again to go on."


@dataclass
class Runner:
    """`data`: the dataset. `work`: adapters and models, which may be lost. `out`: answers."""

    data: Path
    work: Path
    out: Path
    models: Path
    base: str = RECIPE.base
    changes: dict[str, Any] = field(default_factory=dict)
    """Of every recipe: for a trial on a CPU."""
    questions: int = ALL_QUESTIONS
    stop: StopFlag = field(default_factory=lambda: StopFlag().listen())

    def run(self, jobs: Sequence[Job], seconds: float) -> list[Job]:
        """Do what is not written yet, until the time is up; returns what is left."""
        began, newest = time.monotonic(), deque([0.0], maxlen=NEWEST)
        self.out.mkdir(parents=True, exist_ok=True)
        shared, corpus = SharedBase(self._request(jobs[0]), self.stop), load_corpus(self._request(jobs[0]))
        limit, left = limit_of(self._request(jobs[0]), corpus, shared.base), self._waiting(jobs)
        while left and time.monotonic() - began + max(newest) < seconds:
            self.stop.raise_if_set(KEPT)
            job, started = left.pop(0), time.monotonic()
            self._note_begun(job)
            self._write(job, self._voice(job, shared, corpus, limit))
            newest.append(time.monotonic() - started)
        log.info("%d of %d voices written in %.0f s.", len(jobs) - len(left), len(jobs), time.monotonic() - began)
        return left

    def _voice(self, job: Job, shared: SharedBase, corpus: Corpus, limit: int) -> dict[str, Any]:
        """The line of one voice."""
        began = time.monotonic()
        trained = self._train(job.training) if job.training else None
        between = time.monotonic()
        request = self._request(job).model_copy(update={"max_new_tokens": limit})
        arm = ArmRequest(name=job.voice, adapter=trained and trained.adapter, examples=job.examples, notes=job.notes)
        with Progress(self.work, "evaluate", len(corpus.heldout), "answers") as progress:
            answers = ask_arm(request, arm, corpus, shared, progress).kept
        seconds = {"train": round(between - began, 1), "answer": round(time.monotonic() - between, 1)}
        log.info("%s, seed %d: %s", job.voice, job.seed, seconds)
        facts = trained.model_dump(mode="json", exclude={"adapter", "epoch_adapters", "base", "run_id"}) if trained else None
        return {
            "voice": job.voice,
            "seed": job.seed,
            "limit": limit,
            "seconds": seconds,
            "training": facts,
            **answers.model_dump(mode="json", include={"texts", "finished", "figures"}),
        }

    def _train(self, training: Training) -> TrainResult:
        """The adapter, trained unless it is there."""
        folder = self.work / "trained" / training.folder
        recipe = training.recipe.model_copy(update={"base": self.base, **self.changes})
        data = self._small_data() if training.kind == SMALL else self.data
        request = TrainRequest(run_folder=folder, dataset=data, arm=training.arm, recipe=recipe, models=self.models)
        folder.mkdir(parents=True, exist_ok=True)
        self._prepare(training, folder)
        select(request, self.stop)
        result = train(request, self.stop)
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return result

    def _prepare(self, training: Training, folder: Path) -> None:
        """What is there already is not made again: a first stage that is an arm of its own, the choice of `distilled-top`."""
        if training.arm == "distilled-top" and not (folder / SELECTED_FILE).exists():
            shutil.copyfile(self.data / SELECTED_FILE, folder / SELECTED_FILE)
        if training.arm in PREFERRING:  # `staged` has a first stage of half the steps
            of_first = self.work / "trained" / Training(FIRST_STAGE[training.arm], training.seed, training.kind).folder
            if (of_first / RESULT_FILE).exists():
                (folder / FIRST_FOLDER).mkdir(exist_ok=True)
                shutil.copyfile(of_first / RESULT_FILE, folder / FIRST_FOLDER / RESULT_FILE)
        if training.swapped and not (folder / PAIRS_FILE).exists():
            self._train(Training(training.arm, training.seed, training.kind))
            pairs = self.work / "trained" / Training(training.arm, training.seed, training.kind).folder / PAIRS_FILE
            (folder / PAIRS_FILE).write_text("".join(swapped(pairs.read_text(encoding="utf-8").splitlines())), encoding="utf-8")

    def _small_data(self) -> Path:
        """The dataset of a writer with a third of the answers, and the teacher's answers to those questions; nothing else differs."""
        folder = self.work / "small-data"
        if not folder.exists():
            shutil.copytree(self.data, unfinished := folder.with_name("small-data.part"), dirs_exist_ok=True)
            kept = {json.loads(line)["question_id"] for line in _lines(self.data / "direct.jsonl")[::3]}
            for name in SMALL_FILES:
                rows = [line for line in _lines(self.data / name) if json.loads(line)["question_id"] in kept]
                (unfinished / name).write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
            unfinished.rename(folder)
        return folder

    def _request(self, job: Job) -> EvaluateRequest:
        return EvaluateRequest(
            run_folder=self.work,
            dataset=self.data,
            base=self.base,
            arms=(ArmRequest(name="base"),),
            candidate="base",
            questions=self.questions,
            answering=job.answering,
            seed=job.seed,
            models=self.models,
        )

    def _waiting(self, jobs: Iterable[Job]) -> list[Job]:
        """What is not written, in its order; what was begun before comes last."""
        written = {(row["voice"], row["seed"]) for row in read_voices(self.out)}
        begun = self.out / BEGUN_FILE
        tried = set(_lines(begun)) if begun.exists() else set()
        waiting = [job for job in jobs if (job.voice, job.seed) not in written]
        return sorted(waiting, key=lambda job: f"{job.voice}, seed {job.seed}" in tried)

    def _note_begun(self, job: Job) -> None:
        with (self.out / BEGUN_FILE).open("a", encoding="utf-8") as file:
            file.write(f"{job.voice}, seed {job.seed}\n")

    def _write(self, job: Job, row: dict[str, Any]) -> None:
        with (self.out / f"answers-{job.part}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def swapped(pairs: Iterable[str]) -> Iterable[str]:
    """The pairs with better and worse exchanged; without answers that came to no end, which would teach that answers have none."""
    for pair in map(json.loads, pairs):
        if pair["rejected_ends"]:
            yield json.dumps({"prompt": pair["prompt"], "chosen": pair["rejected"], "rejected": pair["chosen"]}, ensure_ascii=False) + "\n"


def read_voices(out: Path) -> list[dict[str, Any]]:
    """All lines written so far; one that a kill cut short is left out."""
    rows = []
    for path in sorted(out.glob("answers-*.jsonl")):
        rows += [json.loads(line) for line in path.read_bytes().splitlines(keepends=True) if line.endswith(b"}\n")]
    return rows


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()
