"""What the arms gave, between what needs the models and what measures: `answered.json` and `embeddings.npz`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from training.bootstrap import Measured, RatioOfSums, ratio
from training.contract import ANSWERED_FILE, Answering, EvaluateRequest, read_json
from training.errors import TrainingError
from training.files import whole_file
from training.frozen import Frozen

EMBEDDINGS_FILE = "embeddings.npz"
Sums = tuple[tuple[float, ...], tuple[float, ...]]
"""A figure as parts and wholes, one of each a question."""


class Answers(Frozen):
    """Texts in the order of the questions, and whether each came to its end."""

    texts: tuple[str, ...]
    finished: tuple[bool, ...]


class AnsweredArm(Frozen):
    """What one arm gave: its answers in the order of the questions, and its figures beyond those of texts."""

    texts: tuple[str, ...]
    finished: tuple[bool, ...]
    figures: dict[str, Sums]
    reloaded: float | None = None
    """Share of the answers that plain transformers gave again."""
    greedy: Answers | None = None
    """The same questions answered greedily, where that was asked for too."""

    @property
    def measured(self) -> dict[str, Measured]:
        return {name: ratio(parts, wholes) for name, (parts, wholes) in self.figures.items()}


class Answered(Frozen):
    """What all arms gave, and what they were asked, and how."""

    arms: dict[str, AnsweredArm]
    questions: tuple[str, ...]
    answering: Answering
    limit: int
    """Tokens an answer could have."""
    transfer: dict[str, tuple[float | None, ...]] = Field(default_factory=dict)
    """What texts gain by the writer's example (training.measure.style_transfer), by arm and crowd; empty where the base is too small."""
    seconds: float
    run_id: str | None = None
    """The MLflow run that it is told to; an earlier version did not write it."""

    def check(self, request: EvaluateRequest, questions: Sequence[str], path: Path) -> None:
        """Raise TrainingError when the request, or its dataset, is no longer the one that was answered."""
        now = {
            "arms": [arm.name for arm in request.arms] == list(self.arms),
            "questions": tuple(questions) == self.questions,
            "answering": request.answering == self.answering,
            "greedy": all(arm.greedy for arm in self.arms.values()) or not request.answers_greedily_too,
        }
        if changed := [name for name, is_same in now.items() if not is_same]:
            raise TrainingError(
                f"{path} was answered with other {' and '.join(changed)} than the request has now."
                " Remove that file and run `python -m training evaluate` on the request."
            )


def sums_of(figure: Measured) -> Sums:
    """What a mean or a ratio was made of."""
    assert isinstance(figure.statistic, RatioOfSums)
    return tuple(figure.statistic.parts.tolist()), tuple(figure.statistic.wholes.tolist())


def is_answered(run_folder: Path) -> bool:
    """Whether both files are there."""
    return all((run_folder / name).exists() for name in (ANSWERED_FILE, EMBEDDINGS_FILE))


def read_answered(run_folder: Path) -> Answered:
    """Raises TrainingError when nothing has been answered yet."""
    path = run_folder / ANSWERED_FILE
    if not is_answered(run_folder):
        raise TrainingError(
            f"There is nothing to measure: {path} does not exist, or not {EMBEDDINGS_FILE} beside it."
            " Run `python -m training evaluate` on the request first."
        )
    return read_json(Answered, path)


def save_embeddings(run_folder: Path, tables: Mapping[str, Any]) -> None:
    """Write tables (texts, size) as float32."""
    names = list(tables)
    arrays: dict[str, Any] = {f"table{number}": np.asarray(tables[name], np.float32) for number, name in enumerate(names)}
    with whole_file(run_folder / EMBEDDINGS_FILE) as file:
        np.savez(file, names=np.array(names), **arrays)


def read_embeddings(run_folder: Path) -> dict[str, Any]:
    """Name to table (texts, size), float64."""
    with np.load(run_folder / EMBEDDINGS_FILE, allow_pickle=False) as found:
        return {str(name): found[f"table{number}"].astype(np.float64) for number, name in enumerate(found["names"])}
