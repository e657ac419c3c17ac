"""Measuring what was answered before: without a model, stopped, refused."""

import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.conftest import answer_and_measure
from tests.training.measure.conftest import request
from training.contract import (
    ANSWERED_FILE,
    GREEDY,
    RESULT_FILE,
    Answering,
    EvaluateRequest,
    EvaluateResult,
    last_file,
    read_json,
)
from training.errors import Stopped, TrainingError
from training.measure.evaluate import measure
from training.signals import StopFlag


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, models: Path, dataset: Path, adapter: Path) -> EvaluateRequest:
    """A finished evaluation of sampled answers, with plain rewrites and a teacher; its models and adapter are gone since."""
    folder = tmp_path_factory.mktemp("evaluated")
    own, gone, data = (shutil.copytree(path, folder / path.name) for path in (models, adapter, dataset))
    pairs = [json.loads(line)["messages"] for line in (data / "direct.jsonl").read_text().splitlines()]
    for name, opening in (("twins.jsonl", "Plainly, it is so: "), ("distilled.jsonl", "It is worth noting that ")):
        rows = [[*pair[:-1], {**pair[-1], "content": opening + pair[-1]["content"]}] for pair in pairs]
        (data / name).write_text("".join(json.dumps({"messages": row}) + "\n" for row in rows))
    asked = request(folder / "run", own, data, gone, ability=True, answering=Answering(temperature=0.9))
    answer_and_measure(asked)
    shutil.rmtree(gone)
    shutil.rmtree(own)
    return asked


def unmeasured(asked: EvaluateRequest, folder: Path, **changes: object) -> EvaluateRequest:
    """The same evaluation as it is when it was killed after its last answer."""
    shutil.copytree(asked.run_folder, folder, ignore=shutil.ignore_patterns(RESULT_FILE, "samples.jsonl", "report.html"))
    return asked.model_copy(update={"run_folder": folder, **changes})


@pytest.mark.parametrize("command", [answer_and_measure, lambda asked: measure(asked, StopFlag())])
def test_what_was_answered_is_measured_without_model_and_adapter(
    tmp_path: Path, evaluated: EvaluateRequest, command: Callable[[EvaluateRequest], EvaluateResult]
) -> None:
    first = read_json(EvaluateResult, evaluated.run_folder / RESULT_FILE)
    again = command(unmeasured(evaluated, tmp_path / "run"))
    assert again.model_copy(update={"seconds": first.seconds, "samples": first.samples}) == first
    assert again.samples.read_text() == first.samples.read_text()
    assert set(again.separation) == {"style", "style_grammar"}
    assert all(set(kinds) == {"other writers", "plain rewrites"} for kinds in again.separation.values())
    assert any("worth noting" in phrase for phrase in again.phrases["foreign_phrases"])
    assert again.reloaded is not None and "ability" in again.scores["direct"]


def test_a_stop_while_measuring_keeps_the_answers(tmp_path: Path, evaluated: EvaluateRequest) -> None:
    asked, stop = unmeasured(evaluated, tmp_path / "run"), StopFlag()
    stop.signal = signal.SIGTERM
    with pytest.raises(Stopped, match=r"Stopped by SIGTERM\. All answers are kept"):
        measure(asked, stop)
    assert (asked.run_folder / ANSWERED_FILE).exists() and not (asked.run_folder / RESULT_FILE).exists()


@pytest.mark.parametrize("missing", [ANSWERED_FILE, "embeddings.npz"])
def test_measuring_before_answering_is_refused_in_words(tmp_path: Path, evaluated: EvaluateRequest, missing: str) -> None:
    asked = unmeasured(evaluated, tmp_path / "run")
    (asked.run_folder / missing).unlink()
    with pytest.raises(TrainingError, match=r"nothing to measure: .*answered\.json does not exist.* Run `python -m training evaluate`"):
        measure(asked, StopFlag())


def test_answers_to_another_request_are_not_measured_as_its_own(tmp_path: Path, evaluated: EvaluateRequest) -> None:
    asked = unmeasured(evaluated, tmp_path / "run", answering=GREEDY, questions=3)
    with pytest.raises(TrainingError, match=r"answered\.json was answered with other questions and answering than the request"):
        measure(asked, StopFlag())


def test_a_result_of_an_earlier_version_is_taken_as_it_is(tmp_path: Path, evaluated: EvaluateRequest) -> None:
    asked = unmeasured(evaluated, tmp_path / "run")
    for name in (ANSWERED_FILE, "embeddings.npz"):  # which earlier versions did not write
        (asked.run_folder / name).unlink()
    later = {"separation", "shuffled", "phrases"}
    kept = read_json(EvaluateResult, evaluated.run_folder / RESULT_FILE).model_dump(mode="json", exclude=later)
    (asked.run_folder / RESULT_FILE).write_text(json.dumps(kept))
    assert answer_and_measure(asked) == EvaluateResult.model_validate(kept)
    assert last_file(asked.run_folder, "evaluate") == asked.run_folder / RESULT_FILE


def test_answers_of_an_earlier_version_are_measured(tmp_path: Path, evaluated: EvaluateRequest) -> None:
    asked = unmeasured(evaluated, tmp_path / "run")
    kept = json.loads((asked.run_folder / ANSWERED_FILE).read_text())
    del kept["run_id"]
    (asked.run_folder / ANSWERED_FILE).write_text(json.dumps(kept))
    assert answer_and_measure(asked).scores == read_json(EvaluateResult, evaluated.run_folder / RESULT_FILE).scores
