"""Pictures for MLflow."""

from collections.abc import Mapping
from pathlib import Path


def save_loss_curve(losses: Mapping[int, float], path: Path) -> None:
    """Draw loss in nats a token over optimizer steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot()
    axes.plot(list(losses), list(losses.values()), marker="." if len(losses) < 50 else None)
    axes.set(xlabel="optimizer step", ylabel="loss, nats an answer token", title="Training loss")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
