"""Arm `staged`: the teacher's answers first, then the writer's own from that adapter; killed anywhere it ends the same."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.conftest import pair, sentence, write_dataset
from tests.training.fit.test_train import adapter, assert_equal, interrupt, losses
from training.contract import RESULT_FILE, TrainRequest, TrainResult, read_json, write_json
from training.fit.staged import FIRST_FOLDER, first_stage, second_stage
from training.fit.train import train
from training.progress import PROGRESS_FILE
from training.signals import StopFlag

Make = Callable[..., TrainRequest]


@pytest.fixture
def staged(request_training: Make, tmp_path: Path) -> Make:
    """Requests of arm `staged`, on 20 answers of the writer and 24 of the teacher."""
    write_dataset(tmp_path / "dataset")
    taught = [pair(f"Why {sentence(number, 3)}", sentence(number + 3, 6)) for number in range(24)]
    (tmp_path / "dataset" / "distilled.jsonl").write_text("".join(taught))

    def make(name: str, **changes: object) -> TrainRequest:
        request = request_training(name, **changes).model_copy(update={"arm": "staged"})
        write_json(request, request.run_folder / "request.json")
        return request

    return make


def test_the_second_stage_goes_on_from_the_firsts_adapter_on_the_writers_answers_at_half_the_rate(staged: Make) -> None:
    whole, alone = staged("whole", epochs=2), staged("alone", epochs=2)
    result = train(whole, StopFlag())
    taught = train(first_stage(alone), StopFlag())
    own = train(second_stage(alone, taught.adapter), StopFlag())
    assert all(bool((tensor == adapter(alone)[name]).all()) for name, tensor in adapter(whole).items())
    assert second_stage(alone, taught.adapter).recipe.learning_rate == alone.recipe.learning_rate / 2
    assert (result.rows, result.steps, result.tokens) == (44, taught.steps + own.steps, taught.tokens + own.tokens)
    assert (result.first_loss, result.last_loss) == (taught.first_loss, own.last_loss)
    assert own.first_loss < taught.first_loss
    assert read_json(TrainResult, whole.run_folder / RESULT_FILE) == result


def test_killed_in_either_stage_it_ends_like_an_undisturbed_run(staged: Make) -> None:
    long = {"epochs": 6, "checkpoint_steps": 4}  # 18 steps each
    whole, killed = staged("whole", **long), staged("killed", **long)
    train(whole, StopFlag())
    first = first_stage(killed)
    first.run_folder.mkdir()
    for of_stage, after_step in ((first, 5), (killed, 3)):
        assert interrupt(killed, after_step, signal.SIGKILL, of_stage)[0] == -signal.SIGKILL
        assert json.loads((killed.run_folder / PROGRESS_FILE).read_text())["total"] == 18  # of the stage at work
        assert not (first.run_folder / PROGRESS_FILE).exists()
    train(killed, StopFlag())
    assert_equal(whole, killed)
    assert losses(first_stage(whole)) == losses(first)


def test_limits_of_a_recipe_hold_for_both_stages_together(staged: Make) -> None:
    request = staged("run", max_steps=5, max_seconds=60.0, warm_steps=4, keep_epochs=True)
    first, second = first_stage(request).recipe, second_stage(request, Path("adapter")).recipe
    assert [(one.max_steps, one.max_seconds, one.keep_epochs) for one in (first, second)] == [(3, 30.0, False), (3, 30.0, True)]
    assert (first.warm_steps, second.warm_steps) == (2, None)
    warm = second_stage(request.model_copy(update={"start": Path("champion")}), Path("adapter"))
    assert (warm.recipe.max_steps, warm.start) == (2, Path("adapter"))
    assert first_stage(request).run_folder == request.run_folder / FIRST_FOLDER
