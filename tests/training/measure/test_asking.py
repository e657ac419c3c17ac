"""One arm a GPU, here two processes on the CPU: each arm is asked once, and the answers are those of one process."""

import re
from pathlib import Path

from tests.training.child import Child
from tests.training.conftest import without_answers
from tests.training.measure.conftest import request
from training.contract import ANSWERED_FILE, read_json
from training.measure.answered import Answered
from training.measure.evaluate import evaluate
from training.signals import StopFlag

PACE = re.compile(r"^([\w-]+): \d+ s, of which \d+ s answering, at (\d+) tokens/s$", re.MULTILINE)


def test_each_arm_is_asked_by_one_of_two_processes_and_the_answers_are_those_of_one(
    tmp_path: Path, models: Path, dataset: Path, adapter: Path
) -> None:
    alone = request(tmp_path / "alone", without_answers(models, tmp_path / "one"), dataset, adapter)
    evaluate(alone, StopFlag())
    shared = request(tmp_path / "shared", without_answers(models, tmp_path / "two"), dataset, adapter)
    child = Child(tmp_path / "said.txt", "evaluate", shared.run_folder / "request.json", "--processes", "2")
    assert child.wait() == 0, child.said.read_text()
    names, paces = zip(*PACE.findall(child.said.read_text()), strict=True)
    assert sorted(names[:3]) == sorted(names[3:]) == ["base", "direct", "few-shot"]
    assert "0" not in paces[:3] and set(paces[3:]) == {"0"}  # the last three were found
    assert (shared.run_folder / "process-1" / "progress.json").exists()
    one, two = (read_json(Answered, each.run_folder / ANSWERED_FILE).arms for each in (alone, shared))
    assert {name: arm.texts for name, arm in two.items()} == {name: arm.texts for name, arm in one.items()}
    assert two["direct"].reloaded == 1.0
