"""What training tells MLflow: the recipe, the dataset, five previews, a line of figures per step, the loss curve, the adapter."""

from pathlib import Path
from typing import Any

from training.contract import TrainRequest
from training.fit.checkpoint import State
from training.fit.loop import StepResult
from training.models.model import Base
from training.rows.data import Rows, preview
from training.tracking.plots import save_loss_curve
from training.tracking.run import TrackedRun

PREVIEWS = 5
PREVIEW_FILE, CURVE_FILE = "previews.txt", "loss.png"


def start(run: TrackedRun, request: TrainRequest, base: Base, rows: Rows, path_name: str) -> None:
    """Tell what is about to be trained, on what."""
    facts: dict[str, Any] = {"arm": request.arm, "rows": len(rows.rows), "base_fingerprint": base.fingerprint, "path": path_name}
    run.params({**request.recipe.model_dump(), **facts, **{f"dropped_{reason}": count for reason, count in rows.dropped.items()}})
    run.dataset(request.dataset, "training")
    path = request.run_folder / PREVIEW_FILE
    path.write_text("\n".join(preview(row, base.tokenizer) for row in rows.rows[:PREVIEWS]), encoding="utf-8")
    run.artifact(path)


def step(run: TrackedRun, number: int, result: StepResult, learning_rate: float, speed: dict[str, float]) -> None:
    """Tell the figures of one optimizer step (counted from 1); `speed` is empty between two log lines."""
    figures = {"train/loss": result.loss, "train/learning_rate": learning_rate, "train/gradient_norm": result.gradient_norm}
    run.metrics({**figures, **speed}, step=number)


def end(run: TrackedRun, adapter: Path, state: State) -> None:
    """Tell what training gave."""
    losses = run.history("train/loss")
    curve = adapter.parent / CURVE_FILE
    save_loss_curve(losses, curve)
    run.artifact(curve)
    run.artifact(adapter, "adapter")
    run.metrics({"train/tokens": float(state.tokens), "train/seconds": state.seconds, "train/steps": float(state.step)})
