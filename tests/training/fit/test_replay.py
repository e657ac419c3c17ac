"""Replay: the base's own answers to general questions among the rows, the same ones after a kill."""

import json
import signal
from collections.abc import Callable
from itertools import combinations, count
from pathlib import Path

import pytest
import torch

from tests.training.conftest import kept_answers, recipe, without_answers, write_dataset
from tests.training.fit.test_train import assert_equal, interrupt
from training.answer.generate import answer_batch
from training.contract import Answering, TrainRequest
from training.errors import Stopped
from training.fit.replay import MAX_NEW_TOKENS, TEMPERATURE, is_near, questions, replay_rows
from training.fit.train import train
from training.measure.ability import tasks
from training.models.model import load_base
from training.processes import Processes
from training.signals import StopFlag

Make = Callable[..., TrainRequest]
SHARE = 0.25


def rows(request: TrainRequest) -> list[tuple[str, str]]:
    """Question and answer of each replayed row."""
    lines = (request.run_folder / "replay.jsonl").read_text(encoding="utf-8").splitlines()
    return [tuple(message["content"] for message in json.loads(line)["messages"]) for line in lines]  # type: ignore[misc]


def test_so_many_rows_are_added_and_they_are_what_the_base_says_itself(request_training: Make, models: Path) -> None:
    plain, request = request_training("plain"), request_training("replayed", replay_share=SHARE)
    assert train(plain, StopFlag()).rows == 20
    assert not (plain.run_folder / "replay.jsonl").exists()
    assert train(request, StopFlag()).rows == 27
    replay = rows(request)
    assert (len(replay), len({question for question, _ in replay})) == (7, 7)
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    prompts = [base.chat.prompt([{"role": "user", "content": question}]) for question, _ in replay]
    how = Answering(temperature=TEMPERATURE, seed=request.recipe.seed)
    said = answer_batch(base.model.eval(), base, prompts, [MAX_NEW_TOKENS] * 7, how)
    assert [(one.text, one.finished) for one in said] == [(answer, True) for _, answer in replay]


def test_killed_at_several_steps_it_ends_like_an_undisturbed_run(request_training: Make) -> None:
    long = {"epochs": 6, "checkpoint_steps": 4, "replay_share": SHARE}
    whole, killed = request_training("whole", **long), request_training("killed", **long)
    train(whole, StopFlag())
    for after_step in (2, 9):
        assert interrupt(killed, after_step, signal.SIGKILL)[0] == -signal.SIGKILL
    train(killed, StopFlag())
    assert_equal(whole, killed)
    assert rows(whole) == rows(killed)


def test_a_stop_while_the_base_is_asked_keeps_what_it_said_and_leaves_no_half_file(tmp_path: Path, models: Path) -> None:
    own, looks = without_answers(models, tmp_path / "models"), count()
    dataset, folder = write_dataset(tmp_path / "data", direct=90), tmp_path / "run"
    asked = TrainRequest(run_folder=folder, dataset=dataset, arm="direct", recipe=recipe(replay_share=0.5, seed=7), models=own)
    base = load_base("tiny-random-qwen2", None, "fp32", own, torch.device("cpu"))
    folder.mkdir()

    def stop() -> None:
        if next(looks) == MAX_NEW_TOKENS + 60:
            raise Stopped(15, "in the second batch")

    with pytest.raises(Stopped):
        replay_rows(asked, base, 90, Processes(), stop)
    assert not list(folder.iterdir())
    (kept,) = kept_answers(own)
    before = kept.read_text()
    assert len(before.splitlines()) == 64
    assert len(replay_rows(asked, base, 90, Processes(), lambda: None).rows) == 90
    assert kept.read_text().startswith(before)


def test_no_questionis_nearly_one_of_the_ability_probe_nor_another_of_them_nor_a_heldout_one() -> None:
    asked = questions([], 0)
    assert len(asked) >= 140
    assert not [pair for task in tasks() for pair in ((task.question, other) for other in asked) if is_near(*pair)]
    assert not [pair for pair in combinations(asked, 2) if is_near(*pair)]
    left = questions(["Explain: what is a mortgage, in two sentences?", "怎样炒鸡蛋呢？"], 0)
    assert set(asked) - set(left) == {"Explain what a mortgage is, in two sentences.", "怎样炒鸡蛋？"}
    assert questions([], 0) != questions([], 1)
