"""What the demo's training gives with other seeds, beside its goals: `python -m benchmarks.demo_seeds --home var --seeds 0 1 2`.

Takes the first training and its evaluation from the home folder of a demo that ran (`make demo`), repeats them with each seed
through the stages themselves, without a time limit for the steps, and prints each goal's figure with its 95 % interval. What is
finished is kept in the home folder and not done again.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from training.contract import (
    REQUEST_FILE,
    RESULT_FILE,
    Estimate,
    EvaluateRequest,
    EvaluateResult,
    TrainRequest,
    read_json,
    write_json,
)

BASE, WRITER = "base", "writer"


@dataclass(frozen=True)
class Goal:
    """A figure and the bound that one end of its interval has to keep to."""

    name: str
    figure: Estimate
    least: float | None = None
    most: float | None = None

    def __str__(self) -> str:
        bound = f"at least {self.least:.2f}" if self.most is None else f"at most {self.most:.2f}"
        reached = self.figure.low >= self.least if self.most is None and self.least is not None else self.figure.high <= (self.most or 0)
        interval = f"{self.figure.value:.3f} ({self.figure.low:.3f} to {self.figure.high:.3f})"
        return f"  {self.name}: {interval}, {bound}: {'reached' if reached else 'missed'}"


def main() -> None:
    """Train and evaluate with each seed; print the goals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=Path("var"), help="the home folder of a demo that ran")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    train, evaluate = first_training((options.home / "runs" / "lamplight").resolve())
    for seed in options.seeds:
        result = run_seed(train, evaluate, (options.home / "demo-seeds" / str(seed)).resolve(), seed)
        print(f"seed {seed}", *goals(result), sep="\n", flush=True)


def first_training(runs: Path) -> tuple[TrainRequest, EvaluateRequest]:
    """The requests of the training that began from the base, and of its evaluation."""
    for folder in runs.iterdir():
        request = read_json(TrainRequest, folder / REQUEST_FILE)
        evaluations = sorted(folder.glob(f"evaluation-*/{REQUEST_FILE}"))
        if request.start is None and evaluations:
            return request, read_json(EvaluateRequest, evaluations[0])
    sys.exit(f"No finished training in {runs}: run `make demo` first.")


def run_seed(train: TrainRequest, evaluate: EvaluateRequest, folder: Path, seed: int) -> EvaluateResult:
    """All stages in a folder of their own."""
    recipe = train.recipe.model_copy(update={"seed": seed, "max_seconds": None})
    run_stage("train", train.model_copy(update={"run_folder": folder, "recipe": recipe, "tracking": None}))
    arms = [arm.model_copy(update={"adapter": folder / "adapter"}) if arm.adapter else arm for arm in evaluate.arms]
    changed = {"run_folder": folder / "evaluation", "arms": tuple(arms), "tracking": None}
    for stage in ("evaluate", "measure"):
        run_stage(stage, evaluate.model_copy(update=changed))
    return read_json(EvaluateResult, folder / "evaluation" / RESULT_FILE)


def run_stage(stage: str, request: TrainRequest | EvaluateRequest) -> None:
    """One stage as the launchers start it."""
    request.run_folder.mkdir(parents=True, exist_ok=True)
    write_json(request, request.run_folder / REQUEST_FILE)
    subprocess.run([sys.executable, "-m", "training", stage, request.run_folder / REQUEST_FILE], check=True, env=os.environ)


def goals(result: EvaluateResult) -> Iterator[Goal]:
    """The demo's goals: it must be worth hearing."""
    mine, writer = result.scores[result.candidate], result.scores[WRITER]
    loss = result.differences[BASE]["heldout_loss"]
    better = loss.model_copy(update={"value": -loss.value, "low": -loss.high, "high": -loss.low})
    yield Goal("loss under the base's, nats a token", better, least=0.8)
    yield Goal("style", mine["style"], least=0.6)
    yield Goal("repeated 4-grams", mine["rep4"], most=writer["rep4"].value + 0.05)
    yield Goal("answers without an end", mine["unfinished_share"], most=0.2)


if __name__ == "__main__":
    main()
