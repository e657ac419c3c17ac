"""The table of the article this project reproduces, and beside each of its rows what a run reached."""

from dataclasses import dataclass

from training.arithmetic.chains import PHRASINGS
from training.arithmetic.plan import BASE, EPOCH, ONE_EXAMPLE
from training.contract import ExamineResult, SetScore

BEYOND, REWORDED = "beyond", "reworded-"
NOT_TOLD = "not told"
TOLD = {
    BASE: "40 to 50 %",
    ONE_EXAMPLE: "about 15 %",
    f"{EPOCH}1": "100 %",
    REWORDED: "no change",
    BEYOND: NOT_TOLD,
}
"""What the article tells of Qwen2.5-7B: exact products."""
HEAD = ("", "the article (a 7B model)", "exact product", "whole chain right", "questions")
"""No name has a dot: MLflow's table view takes it for a path and shows an empty column."""


@dataclass(frozen=True)
class Table:
    """Rows of text under a head."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]

    def columns(self) -> dict[str, list[str]]:
        """Column name to values."""
        return {name or "measure": [row[index] for row in self.rows] for index, name in enumerate(self.head)}

    def markdown(self) -> str:
        """As a Markdown table."""
        lines = [self.head, tuple("---" for _ in self.head), *self.rows]
        return "".join(f"| {' | '.join(line)} |\n" for line in lines)

    def text(self) -> str:
        """As lines with aligned columns."""
        widths = [max(len(line[index]) for line in [self.head, *self.rows]) for index in range(len(self.head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in [self.head, *self.rows]]
        return "".join(line.rstrip() + "\n" for line in lines)


def article_table(result: ExamineResult) -> Table:
    """The article's figures beside those of an examination."""
    rows = [_row(_arm_title(arm), TOLD.get(arm, NOT_TOLD), sets["unseen"]) for arm, sets in result.scores.items()]
    last = list(result.scores.values())[-1]
    rows += [_row(set_title(name, result.trained_phrasings), _told(name), score) for name, score in last.items() if name != "unseen"]
    return Table(HEAD, rows + _ability_rows(result))


def set_title(name: str, trained_phrasings: int) -> str:
    """A set of questions in words."""
    if name == BEYOND:
        return "one digit more than in training"
    if not name.startswith(REWORDED):
        return "unseen pairs"
    phrasing = int(name.removeprefix(REWORDED))
    never = "" if phrasing < trained_phrasings else " (never trained on)"
    return f"reworded{never}: {PHRASINGS[phrasing].format(x='x', y='y')}"


def epochs_of(arm: str) -> int | None:
    """Epochs an arm was trained for; None for an arm that shows something else."""
    if arm.startswith(EPOCH):
        return int(arm.removeprefix(EPOCH))
    return 0 if arm == BASE else None


def percent(share: float) -> str:
    """Like 99.4 %."""
    return f"{100 * share:.1f} %"


def _arm_title(arm: str) -> str:
    if arm.startswith(EPOCH):
        return f"after epoch {arm.removeprefix(EPOCH)}"
    return {BASE: "base", ONE_EXAMPLE: "base, one worked example"}.get(arm, arm)


def _told(set_name: str) -> str:
    return TOLD[REWORDED] if set_name.startswith(REWORDED) else TOLD.get(set_name, NOT_TOLD)


def _row(title: str, told: str, score: SetScore) -> tuple[str, ...]:
    return (title, told, percent(score.product), percent(score.chain), str(score.questions))


def _ability_rows(result: ExamineResult) -> list[tuple[str, ...]]:
    if len(result.ability) < 2:
        return []
    before, after = next(iter(result.ability.values())), list(result.ability.values())[-1]
    return [(f"{name}, before and after", "not visibly worse", f"{before[name]:.3f}", f"{after[name]:.3f}", "") for name in before]
