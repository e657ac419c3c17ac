"""Pictures of an evaluation: style between its floor and ceiling, lengths, repetition, losses."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from training.contract import Estimate
from training.measure.degeneration import repeated_share, units

Values = Mapping[str, Sequence[float]]


def save_plots(
    samples: Sequence[Mapping[str, str]], style: Values, scores: Mapping[str, Mapping[str, Estimate]], folder: Path
) -> list[Path]:
    """Write the pictures into `folder`; returns those that there is anything to show in."""
    arms = [name for name in samples[0] if name != "question"]
    lengths = {arm: [float(len(units(sample[arm]))) for sample in samples] for arm in arms}
    repeated = {arm: [repeated_share(sample[arm]) for sample in samples] for arm in arms}
    losses = {arm: figures["heldout_loss"] for arm, figures in scores.items() if "heldout_loss" in figures}
    drawn = [_boxes(lengths, "words (Chinese: characters) an answer", folder / "length.png")]
    drawn.append(_boxes(repeated, "share of repeated 4-grams", folder / "repetition.png"))
    drawn.append(save_bars({"loss on the writer's answers, nats a token": losses}, folder / "heldout_loss.png"))
    if style:
        drawn.insert(0, _boxes(style, "style: 0 other writers, 1 the writer", folder / "style.png", lines=(0.0, 1.0)))
    return drawn


def _boxes(values: Values, title: str, path: Path, lines: Sequence[float] = ()) -> Path:
    figure = Figure(figsize=(8, 0.8 + 0.5 * len(values)), layout="constrained")
    axes = figure.add_subplot()
    axes.boxplot([list(one) for one in values.values()], orientation="horizontal", tick_labels=list(values), showmeans=True)
    for line in lines:
        axes.axvline(line, color="#888888", ls=":")
    axes.set(xlabel=title)
    axes.invert_yaxis()
    figure.savefig(path, dpi=120)
    return path


def save_bars(panels: Mapping[str, Mapping[str, Estimate]], path: Path) -> Path:
    """Draw figures with their intervals, a panel a title, side by side; all panels have the same names in the same order."""
    names = list(next(iter(panels.values())))
    figure = Figure(figsize=(8, 0.8 + 0.5 * len(names)), layout="constrained")
    for axes, (title, values) in zip(figure.subplots(1, len(panels), sharey=True, squeeze=False)[0], panels.items(), strict=True):
        for place, one in enumerate(values.values()):
            axes.plot([one.low, one.high], [place, place], color="#8a4b12", lw=2)
            axes.plot(one.value, place, "o", color="#8a4b12")
        axes.set(xlabel=title, yticks=range(len(names)), yticklabels=names)
    axes.invert_yaxis()
    figure.savefig(path, dpi=120)
    return path
