"""Whole examinations with a tiny model: who sits what, killed and gone on with, what is shown."""

import json
import shutil
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.training.child import Child
from tests.training.conftest import kept_answers, recipe, without_answers
from training.answer.generate import Answer
from training.arithmetic.article import article_table
from training.arithmetic.chains import chain
from training.arithmetic.data import write_dataset
from training.arithmetic.examine import examine
from training.arithmetic.plan import headline, plan_examination
from training.arithmetic.report import report
from training.contract import (
    GREEDY,
    RESULT_FILE,
    Answering,
    ExamineRequest,
    ExamineResult,
    MultiplicationData,
    TrainRequest,
    TrainResult,
    write_json,
)
from training.errors import DatasetError, Stopped
from training.fit.train import train
from training.signals import StopFlag

DATA = MultiplicationData(samples=8, digits=1, phrasings=2, pairs=4, reworded_pairs=1, beyond_pairs=1)
SETS = ["unseen", *(f"reworded-{phrasing}" for phrasing in (1, 2, 3, 4, 5, 6, 12, 13)), "beyond"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, models: Path) -> tuple[TrainRequest, TrainResult]:
    """A training of two epochs, both kept."""
    folder = tmp_path_factory.mktemp("multiplication")
    dataset = write_dataset(folder, DATA)
    made = TrainRequest(
        run_folder=folder / "train", dataset=dataset, arm="direct", recipe=recipe(epochs=2, keep_epochs=True), models=models
    )
    return made, train(made, StopFlag())


def request(trained: tuple[TrainRequest, TrainResult], folder: Path, **changes: object) -> ExamineRequest:
    made = plan_examination(*trained, None, ability=False, batch=2)
    moved = made.model_copy(update={"run_folder": folder, **changes})
    folder.mkdir(exist_ok=True)
    write_json(moved, folder / "request.json")
    return moved


@pytest.fixture(scope="module")
def examined(trained: tuple[TrainRequest, TrainResult], tmp_path_factory: pytest.TempPathFactory) -> tuple[ExamineRequest, ExamineResult]:
    """An undisturbed examination of that training."""
    made = request(trained, tmp_path_factory.mktemp("examined") / "run")
    return made, examine(made, StopFlag())


def test_every_arm_sits_the_unseen_pairs_and_the_last_one_every_set(examined: tuple[ExamineRequest, ExamineResult]) -> None:
    made, result = examined
    assert {arm: list(sets) for arm, sets in result.scores.items()} == {
        "base": ["unseen"],
        "one-example": ["unseen"],
        "epoch-1": ["unseen"],
        "epoch-2": SETS,
    }
    assert {score.questions for sets in result.scores.values() for name, score in sets.items() if name == "unseen"} == {4}
    assert result.scores["epoch-2"]["beyond"].questions == 1
    assert result.trained_phrasings == 2
    assert json.loads((made.run_folder / "progress.json").read_text()) == {"stage": "examine", "done": 25, "total": 25, "unit": "answers"}


def test_the_worked_example_stands_before_the_question(
    trained: tuple[TrainRequest, TrainResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts: dict[str, str] = {}

    def note(model: Any, base: Any, batch: Sequence[list[int]], limits: Sequence[int], answering: Answering, look: Any) -> list[Answer]:
        assert answering == GREEDY  # a product is not drawn at random
        prompts.setdefault(f"{len(prompts)}", base.tokenizer.decode(batch[0]))
        return [Answer("", [], finished=True) for _ in batch]

    monkeypatch.setattr("training.answer.arms.answer_batch", note)
    own = without_answers(trained[0].models, tmp_path / "models")
    examine(request(trained, tmp_path / "run", batch=100, models=own), StopFlag())
    first = json.loads((trained[0].dataset / "direct.jsonl").read_text().splitlines()[0])
    bare, with_example, epoch_1 = (prompts[str(index)] for index in range(3))
    assert chain(first["x"], first["y"]) in with_example
    assert with_example.endswith(bare.removeprefix("<|im_start|>system"))
    assert epoch_1 == bare


def test_killed_it_goes_on_without_asking_again(
    trained: tuple[TrainRequest, TrainResult], examined: tuple[ExamineRequest, ExamineResult], tmp_path: Path
) -> None:
    whole = examined[1]
    killed = request(trained, tmp_path / "killed", models=without_answers(trained[0].models, tmp_path / "models"))
    child = Child(tmp_path / "said.txt", "examine", killed.run_folder / "request.json")
    while len(kept := kept_answers(killed.models)) < 2:  # the second arm has begun
        assert child.is_running, child.said.read_text()
        time.sleep(0.002)
    child.send(signal.SIGKILL)
    child.wait()
    assert not (killed.run_folder / RESULT_FILE).exists()
    rows = [json.loads(line) for line in (trained[0].dataset / "heldout.jsonl").read_text().splitlines()]
    x, y = max(((row["x"], row["y"]) for row in rows), key=lambda pair: len(chain(*pair)))  # the longest chain is asked for first
    path = min(kept, key=lambda found: found.stat().st_mtime_ns)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0] = {**lines[0], "text": chain(x, y), "finished": True}  # an answer that this model would not give
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    result = examine(killed, StopFlag())
    assert result.scores["base"]["unseen"].chain == pytest.approx(1 / 4)
    assert {arm: sets["unseen"].first_errors for arm, sets in result.scores.items() if arm != "base"} == {
        arm: sets["unseen"].first_errors for arm, sets in whole.scores.items() if arm != "base"
    }


def test_a_finished_examination_is_not_repeated(examined: tuple[ExamineRequest, ExamineResult], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("training.answer.arms.answer_batch")
    assert examine(examined[0], StopFlag()) == examined[1]


def test_a_stop_keeps_what_was_answered(trained: tuple[TrainRequest, TrainResult], tmp_path: Path) -> None:
    stop = StopFlag()
    stop.signal = signal.SIGTERM
    with pytest.raises(Stopped, match=r"Stopped by SIGTERM\. The answers given so far are kept"):
        examine(request(trained, tmp_path / "run"), stop)


def test_other_abilities_are_probed_before_and_after(trained: tuple[TrainRequest, TrainResult], tmp_path: Path) -> None:
    result = examine(request(trained, tmp_path / "run", ability=True), StopFlag())
    assert list(result.ability) == ["base", "epoch-2"]
    before, after = result.ability["base"], result.ability["epoch-2"]
    assert 0 <= before["ability"] <= 1
    assert before["ability_loss"] != after["ability_loss"]
    shown = {row[0]: row[2:4] for row in article_table(result).rows[-2:]}
    assert shown["ability_loss, before and after"] == (f"{before['ability_loss']:.3f}", f"{after['ability_loss']:.3f}")


def test_an_examination_with_the_probe_is_another_than_one_without(trained: tuple[TrainRequest, TrainResult]) -> None:
    folders = {plan_examination(*trained, None, ability=ability).run_folder.name for ability in (True, False)}
    assert folders == {"examine", "examine-without-ability"}


@pytest.mark.parametrize("missing", ["heldout.jsonl", "manifest.json"])
def test_a_dataset_without_multiplications_is_refused_before_anything_is_asked(
    missing: str, trained: tuple[TrainRequest, TrainResult], tmp_path: Path
) -> None:
    dataset = shutil.copytree(trained[0].dataset, tmp_path / "dataset")
    (dataset / missing).unlink()
    with pytest.raises(DatasetError, match="holds no multiplications to ask"):
        examine(request(trained, tmp_path / "run", dataset=dataset), StopFlag())
    assert not (tmp_path / "run" / "progress.json").exists()


def test_the_articles_table_stands_beside_this_run_and_the_headline_is_its_end(examined: tuple[ExamineRequest, ExamineResult]) -> None:
    result = examined[1]
    good = result.scores["epoch-2"]["unseen"].model_copy(update={"product": 1.0, "chain": 0.995})
    result = ExamineResult(**{**dict(result), "scores": {**result.scores, "epoch-2": {**result.scores["epoch-2"], "unseen": good}}})
    rows = {row[0]: row[1:] for row in article_table(result).rows}
    assert rows["base"] == ("40 to 50 %", "0.0 %", "0.0 %", "4")
    assert rows["base, one worked example"][0] == "about 15 %"
    assert rows["after epoch 1"][0] == "100 %"
    assert rows["after epoch 2"] == ("not told", "100.0 %", "99.5 %", "4")
    assert rows["reworded (never trained on): Could you compute x multiplied by y for me?"] == ("no change", "0.0 %", "0.0 %", "1")
    assert rows["reworded: 请问 x 乘以 y 等于多少?"][0] == "no change"
    assert headline(result) == {
        "base/product_share": 0.0,
        "unseen/product_share": 1.0,
        "unseen/chain_share": 0.995,
        "reworded/least_chain_share": 0.0,
    }


def test_the_page_marks_the_first_wrong_line(examined: tuple[ExamineRequest, ExamineResult]) -> None:
    made, result = examined
    page = (made.run_folder / "report.html").read_text()
    assert "<mark>" in page and "should be: 开始计算" in page
    assert "data:image/png;base64," in page
    table = json.loads((made.run_folder / "wrong_chains.json").read_text())
    assert table["columns"] == ["arm", "question", "wrong line", "expected", "found", "kind", "set", "answer"]
    assert table["data"][0][0] == "epoch-2" and table["data"][0][7].startswith("⟦")
    shown = json.loads((made.run_folder / "article.json").read_text())["columns"]
    assert shown[1] == "the article (a 7B model)" and not any("." in name for name in shown)
    assert "None. Every line of every chain is right." in report("b", result, {"unseen": []}, b"")
