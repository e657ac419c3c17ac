"""Arms `distilled-top` and `distilled-random`: a third of the teacher's answers, the most like the writer or any, before training.

The first view of style chooses (training.measure.style), learned on every second of the writer's training answers and scaled by the
others; held-out answers choose nothing. Since that view chose, only the others may judge the arm.
"""

import logging
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from training.contract import SELECTED_FILE, SELECTING, TRAINING_FILES, TWINS_FILE, TrainRequest
from training.errors import DatasetError
from training.files import write_file
from training.interruptible import in_child
from training.measure.contrast import language_of, other_writers
from training.rows.data import read_messages
from training.signals import StopFlag

if TYPE_CHECKING:
    from training.measure.style import Style  # with scikit-learn: imported where it is used

log = logging.getLogger(__name__)

SHARE = 1 / 3
TEACHER = "teacher"
KEPT = "Nothing was chosen yet; run the same command again."


def select(request: TrainRequest, stop: StopFlag) -> None:
    """Write the chosen rows into the run folder of an arm that selects, unless they are there. Raises DatasetError, or Stopped."""
    path = request.run_folder / SELECTED_FILE
    if request.arm not in SELECTING or path.exists():
        return
    (name,) = TRAINING_FILES[request.arm]
    texts = _texts(request.dataset, name)
    if request.arm == "distilled-top":
        chosen = best(_likeness(request, in_child(stop, KEPT, _view, request.dataset, texts)))
    else:
        chosen = random.Random(request.recipe.seed).sample(range(len(texts)), _third(len(texts)))
    lines = [line for line in (request.dataset / name).read_text(encoding="utf-8").splitlines() if line.strip()]
    request.run_folder.mkdir(parents=True, exist_ok=True)
    write_file(path, "".join(lines[place] + "\n" for place in sorted(chosen)))
    log.info("%s: %d of %d answers of the teacher are trained on.", request.arm, len(chosen), len(texts))


def best(likeness: Sequence[float]) -> list[int]:
    """The places of the third that is most like the writer, the most like it first."""
    return sorted(range(len(likeness)), key=lambda place: (-likeness[place], place))[: _third(len(likeness))]


def _third(number: int) -> int:
    return max(1, round(number * SHARE))


def _texts(dataset: Path, name: str) -> list[str]:
    """The answers of a file."""
    return [messages[-1]["content"] for _, messages in read_messages(dataset, [name])]


def _view(dataset: Path, texts: Sequence[str]) -> "Style":
    """What the first view of style makes of the texts."""
    from training.measure.style import style

    own = _texts(dataset, TRAINING_FILES["direct"][0])
    twins = _texts(dataset, TWINS_FILE) if (dataset / TWINS_FILE).exists() else []
    return style(own[::2], other_writers(dataset, language_of(own)), own[1::2], (), {TEACHER: texts}, twins)


def _likeness(request: TrainRequest, view: "Style") -> list[float]:
    """How much each text sounds like the writer. Raises DatasetError where that cannot be told."""
    if view.withheld:
        raise DatasetError(f"Arm {request.arm!r} cannot choose answers by style: {view.withheld}. Choose another arm.")
    return [float(score) for score in view.scores[TEACHER]]
