"""A stand-in for `python -m training STAGE REQUEST`, without a model: as long as `stages.json` in the home says, or the writer's own.

It leaves checkpoints, ends on signals and returns a finished result as the real one does (`training.signals`), and writes each start
and end into `stages.jsonl`. What it finds is never better than the base, so nothing is promoted.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from training.command import guarded
from training.contract import (
    ANSWERED_FILE,
    RESULT_FILE,
    Estimate,
    EvaluateRequest,
    EvaluateResult,
    TrainRequest,
    TrainResult,
    read_json,
    write_json,
)
from training.errors import TrainingError
from training.signals import StopFlag

STEP_SECONDS = 0.05
FIGURES = {
    "heldout_loss": 2.6,
    "style": 0.6,
    "rep4": 0.02,
    "unfinished_share": 0.0,
    "empty_share": 0.0,
    "length_ratio": 1.0,
    "verbatim_share": 0.0,
    "ability": 0.8,
    "ability_loss": 3.1,
}


def main(stage: str, path: Path) -> int:
    work = {"train": _train, "evaluate": _answer, "measure": _measure}[stage]
    return guarded(lambda: work(path))


def _train(path: Path) -> None:
    request = read_json(TrainRequest, path)
    if (request.run_folder / RESULT_FILE).exists():
        return
    journal = Journal(request.run_folder.parents[2], request.dataset, "train")
    journal.write("start")
    _work(journal, request.run_folder / "checkpoint", StopFlag().listen())
    adapter = request.run_folder / "adapter"
    adapter.mkdir(exist_ok=True)
    (adapter / "adapter_model.safetensors").write_bytes(request.dataset.name.encode())
    facts: dict[str, Any] = {"rows": 1, "dropped": {}, "steps": 1, "tokens": 1, "seconds": 1, "first_loss": 1, "last_loss": 1}
    write_json(TrainResult.model_validate({"adapter": adapter, "base": "none", "run_id": None, **facts}), path.with_name(RESULT_FILE))
    journal.write("end")


def _work(journal: "Journal", checkpoint: Path, stop: StopFlag) -> None:
    """Step by step from the last checkpoint, to the end or to a signal."""
    step = int(checkpoint.read_text()) if checkpoint.exists() else 0
    while step * STEP_SECONDS < journal.settings["seconds"]:
        if stop.is_set:
            time.sleep(journal.settings.get("saving_seconds", 0))
            checkpoint.write_text(str(step))
            journal.write("stopped", step=step)
            stop.raise_stopped(f"A checkpoint at step {step} is kept.")
        time.sleep(STEP_SECONDS)
        step += 1
    if journal.settings.get("fails"):
        journal.write("failed")
        raise TrainingError("This training fails, as it was told to.")


def _answer(path: Path) -> None:
    path.with_name(ANSWERED_FILE).write_text('{"run_id": null}')


def _measure(path: Path) -> None:
    request = read_json(EvaluateRequest, path)
    scores = {name: Estimate(value=value, low=value, high=value, questions=20) for name, value in FIGURES.items()}
    zero = {name: Estimate(value=0, low=0, high=0, questions=20) for name in FIGURES}
    others = [arm.name for arm in request.arms if arm.name != request.candidate]
    result = EvaluateResult(
        samples=path.with_name("samples.jsonl"),
        candidate=request.candidate,
        scores={arm.name: scores for arm in request.arms} | {"writer": scores},
        differences=dict.fromkeys([*others, "writer"], zero),
        withheld={},
        reloaded=1.0,
        questions=20,
        run_id=None,
        seconds=0,
    )
    write_json(result, path.with_name(RESULT_FILE))


class Journal:
    """Lines about the trainings of one home, and what it wants of them."""

    def __init__(self, home: Path, dataset: Path, stage: str) -> None:
        self._path = home / "stages.jsonl"
        self._facts = {"stage": stage, "writer": dataset.parent.name, "dataset": dataset.name, "pid": os.getpid()}
        own = home / f"stages-{dataset.parent.name}.json"
        self.settings: dict[str, Any] = json.loads((own if own.exists() else home / "stages.json").read_text())

    def write(self, event: str, **more: object) -> None:
        line = json.dumps({"event": event, "time": time.time(), **self._facts, **more}) + "\n"
        with self._path.open("a") as file:
            file.write(line)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
