"""Arm `preferred`: the loss of pairs, its two forward paths, whole trainings, and when one ends itself."""

import json
import math
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy

from tests.training.conftest import pair, recipe, sentence, write_dataset
from tests.training.fit.test_train import assert_equal, interrupt
from training.contract import PAIRS_FILE, VOTES_FILE, TrainRequest, write_json
from training.errors import DatasetError, Stopped
from training.fit.checkpoint import State
from training.fit.loss import token_losses
from training.fit.preference import (
    BETA,
    PairPath,
    PreferencePair,
    Watch,
    _nats_of,
    _packed,
    _padded,
    pair_path,
    preference_loss,
    with_reference,
)
from training.fit.session import prepare_session
from training.fit.staged import PREFERENCE_RATE, first_stage, second_stage
from training.fit.train import train
from training.models.model import add_adapter, load_base, trainable
from training.processes import Processes
from training.rows.data import Row
from training.signals import StopFlag, no_look

Make = Callable[..., TrainRequest]
CPU = torch.device("cpu")
PAIRS = [
    PreferencePair.of(Row("a", [1, 2, 3, 4, 5], 2), Row("a", [1, 2, 9, 8], 2)),
    PreferencePair.of(Row("b", [7, 6, 5, 4], 3), Row("b", [7, 6, 5, 9, 9, 9], 3)),
    PreferencePair.of(Row("c", [11, 12, 13, 14, 15, 16], 1), Row("c", [11, 3, 2], 1)),
]


@pytest.fixture
def model(models: Path) -> Any:
    """The tiny model with an adapter that already does something."""
    base = load_base("tiny-random-qwen2", None, "fp32", models, CPU)
    found = add_adapter(base, recipe())
    torch.manual_seed(5)
    for name, parameter in trainable(found).items():
        if "lora_B" in name:
            parameter.data.normal_(std=0.3)
    return found


def paths(model: Any) -> dict[bool, PairPath]:
    ways = {False: _padded(model, 0, CPU), True: _packed(model, CPU, 0.0)}
    return {
        packed: PairPath(pair_path(*way, 100, CPU, is_packed=packed), lambda rows, way=way: _nats_of(*way, rows))
        for packed, way in ways.items()
    }


def test_the_loss_of_a_pair_by_hand() -> None:
    reference, tokens = torch.tensor([6.0, 9.0]), torch.tensor([2.0])
    assert float(preference_loss(reference, reference, tokens)) == pytest.approx(3.0 + math.log(2))
    better_likelier = torch.tensor([5.0, 11.0])  # the better answer rose by 1 nat, the worse one fell by 2
    assert float(preference_loss(better_likelier, reference, tokens)) == pytest.approx(2.5 + math.log(1 + math.exp(-BETA * 3)))


def test_the_loss_of_each_token_and_its_gradient_are_pytorchs() -> None:
    torch.manual_seed(0)
    hidden, weight = torch.randn(7, 5, requires_grad=True), torch.randn(11, 5)
    other, targets, upstream = hidden.detach().clone().requires_grad_(), torch.randint(0, 11, (7,)), torch.randn(7)
    losses, expected = token_losses(hidden, targets, weight), cross_entropy(other @ weight.T, targets, reduction="none")
    torch.testing.assert_close(losses, expected)
    (losses * upstream).sum().backward()
    (expected * upstream).sum().backward()
    torch.testing.assert_close(hidden.grad, other.grad)


def test_packed_and_padded_are_the_same_training_and_the_gradient_is_that_of_the_formula(model: Any) -> None:
    learning = trainable(model)
    found: dict[bool, tuple[float, dict[str, torch.Tensor]]] = {}
    for packed, way in paths(model).items():
        pairs = with_reference(way.nats, PAIRS)
        moved = [PreferencePair(**{**vars(one), "reference": (one.reference[0] + 3, one.reference[1] - 2)}) for one in pairs]
        loss = way.path.loss_sum(moved)
        loss.backward()  # type: ignore[no-untyped-call]
        found[packed] = (
            float(loss.detach()),
            {name: parameter.grad.clone() for name, parameter in learning.items() if parameter.grad is not None},
        )
        model.zero_grad()
    assert found[True][0] == pytest.approx(found[False][0], rel=1e-5)
    for name, gradient in found[False][1].items():
        torch.testing.assert_close(found[True][1][name], gradient, rtol=1e-3, atol=1e-5)
    logits = {side: [_log_likelihood(model, getattr(one, side)) for one in PAIRS] for side in ("better", "worse")}
    loss = sum(
        -better / (len(one.better.ids) - one.better.answer_start)
        - torch.nn.functional.logsigmoid(BETA * ((better - better.detach() + 3) - (worse - worse.detach() - 2)))
        for one, better, worse in zip(PAIRS, logits["better"], logits["worse"], strict=True)
    )
    assert isinstance(loss, torch.Tensor)
    loss.backward()  # type: ignore[no-untyped-call]
    assert float(loss.detach()) == pytest.approx(found[False][0], rel=1e-5)
    for name, gradient in found[False][1].items():
        torch.testing.assert_close(learning[name].grad, gradient, rtol=1e-3, atol=1e-5)


def _log_likelihood(model: Any, row: Row) -> torch.Tensor:
    logits = model(input_ids=torch.tensor([row.ids])).logits[0, row.answer_start - 1 : -1]
    return -cross_entropy(logits.float(), torch.tensor(row.ids[row.answer_start :]), reduction="sum")


@pytest.fixture
def preferred(request_training: Make, tmp_path: Path) -> Make:
    """Requests of arm `preferred`, on 30 answers of the writer and 12 of the teacher."""
    write_dataset(tmp_path / "dataset", direct=30)
    taught = [pair(f"Why {sentence(number, 3)}", sentence(number + 3, 6)) for number in range(12)]
    (tmp_path / "dataset" / "distilled.jsonl").write_text("".join(taught))

    def make(name: str, **changes: object) -> TrainRequest:
        changes = {"learning_rate": 0.1, "batch": 2, "micro_batch": 2, **changes}
        request = request_training(name, **changes).model_copy(update={"arm": "preferred"})
        write_json(request, request.run_folder / "request.json")
        return request

    return make


def rises(request: TrainRequest) -> tuple[float, float]:
    """By how many nats the better and the worse answers became likelier, on average, from the first stage to the end."""
    taught = first_stage(request).run_folder / "adapter"
    begun, ended = (
        prepare_session(second_stage(request, adapter), Processes(), no_look) for adapter in (taught, request.run_folder / "adapter")
    )
    sides = []
    for side in ("better", "worse"):
        rows = [getattr(one, side) for one in begun.rows.rows]
        before, after = (_nats_of(*_padded(session.model, 0, CPU), rows) for session in (begun, ended))
        sides.append(sum(before) / len(rows) - sum(after) / len(rows))
    return sides[0], sides[1]


def test_the_writers_answers_are_preferred_to_the_students_own_and_swapped_they_are_not(preferred: Make) -> None:
    request, swapped = preferred("run"), preferred("swapped")
    result = train(request, StopFlag())
    lines = [json.loads(line) for line in (request.run_folder / PAIRS_FILE).read_text(encoding="utf-8").splitlines()]
    written = [json.loads(line)["messages"] for line in (request.dataset / "direct.jsonl").read_text().splitlines()]
    assert len(lines) > 25  # the student has nothing to say to some
    assert all([*line["prompt"], *line["chosen"]] in written for line in lines)
    assert result.rows > 12 + 15
    better, worse = rises(request)
    assert better > 0 and better > worse + 0.1
    train(first_stage(swapped), StopFlag())
    turned = [{**line, "chosen": line["rejected"], "rejected": line["chosen"], "rejected_ends": True} for line in lines]
    (swapped.run_folder / PAIRS_FILE).write_text("".join(json.dumps(line) + "\n" for line in turned))
    train(swapped, StopFlag())
    chosen, writers = rises(swapped)
    assert chosen > writers


def test_killed_at_several_steps_it_ends_like_an_undisturbed_run(preferred: Make) -> None:
    whole, killed = (preferred(name, checkpoint_steps=2, batch=1, micro_batch=1) for name in ("whole", "killed"))
    train(whole, StopFlag())
    for after_step in (3, 9):
        assert interrupt(killed, after_step, signal.SIGKILL)[0] == -signal.SIGKILL
    train(killed, StopFlag())
    assert_equal(whole, killed)
    for name in (PAIRS_FILE, "reference.json"):
        assert (whole.run_folder / name).read_bytes() == (killed.run_folder / name).read_bytes()


def test_votes_are_trained_on_without_those_that_ask_a_heldout_question(preferred: Make, tmp_path: Path) -> None:
    def vote(question: str, chosen: str, rejected: str) -> str:
        turns = [[{"role": role, "content": text}] for role, text in (("user", question), ("assistant", chosen), ("assistant", rejected))]
        return json.dumps(dict(zip(("prompt", "chosen", "rejected"), turns, strict=True))) + "\n"

    plain, voted = preferred("plain"), preferred("voted")
    heldout = json.loads((tmp_path / "dataset" / "heldout.jsonl").read_text().splitlines()[0])["messages"][0]["content"]
    lines = [vote("Who goes there?", "A friend of mine.", "Nobody at all."), vote(heldout + "?", "So it is.", "So it was.")]
    lines += [vote("And how long?", "Short.", "Very much longer than the other one was."), vote("Is it?", "<|im_end|> yes", "no it is not")]
    (voted.run_folder / VOTES_FILE).write_text("".join(lines))
    first, second = train(plain, StopFlag()), train(voted, StopFlag())
    more = {name: second.dropped[name] - first.dropped.get(name, 0) for name in ("near_heldout", "length_ratio", "special_token")}
    assert more == {"near_heldout": 1, "length_ratio": 1, "special_token": 1}
    assert second.rows == first.rows + 1
    bad = preferred("bad")
    (bad.run_folder / VOTES_FILE).write_text('{"prompt": "Why?", "chosen": "a", "rejected": "b"}\n')
    with pytest.raises(DatasetError, match=r"votes\.jsonl:1 is no pair of the form"):
        train(bad, StopFlag())


def test_a_signal_is_seen_while_the_reference_is_taken() -> None:
    taken = list[int]()

    def nats(rows: Sequence[Row]) -> list[float]:
        taken.append(len(rows))
        return [0.0] * len(rows)

    def look() -> None:
        if taken:
            raise Stopped("in the middle")

    with pytest.raises(Stopped):
        with_reference(nats, PAIRS * 100, look)
    assert taken == [128]
    assert len(with_reference(nats, PAIRS * 100)) == 300


def test_it_ends_itself_when_better_answers_become_less_likely_than_at_the_beginning() -> None:
    watched = [PreferencePair(**{**vars(PAIRS[0]), "reference": (6.0, 9.0)})]
    nats = iter([[5.0], [6.0], [6.1]])
    watch = Watch(watched, 30, lambda: next(nats), Processes())
    state = State("x", step=0, micro_batch=1, tokens=0, seconds=0.0, first_loss=0.0, last_loss=0.0)
    ended = {step: watch(State(**{**vars(state), "step": step})).total_steps for step in range(1, 10)}
    assert ended == {**dict.fromkeys(range(1, 9), 0), 9: 9}


def test_a_dip_that_may_be_luck_ends_nothing() -> None:
    """16 answers of about 200 tokens that lose a thousandth of a nat a token on the whole, some of them gaining: as was seen."""
    dip = [0.2 + luck for luck in (-2.0, 1.5, -1.0, 0.5, 2.0, -1.5, 1.0, -0.5) * 2]
    watched = [PreferencePair(**{**vars(PAIRS[0]), "reference": (400.0, 500.0)})] * 16
    looks = iter([[400 + fall for fall in dip], [400 + 8 * 0.2 + luck for luck in dip]])
    watch = Watch(watched, 10, lambda: next(looks), Processes())
    state = State("x", step=1, micro_batch=1, tokens=0, seconds=0.0, first_loss=0.0, last_loss=0.0)
    assert watch(state).total_steps == 0
    assert watch(state).total_steps == 1, "a fall of nearly two nats in each is one"


def test_a_fall_ends_a_real_training_early(preferred: Make) -> None:
    request = preferred("run", batch=1, micro_batch=1, schedule="constant", learning_rate=25.0)  # so high a rate breaks the adapter
    first = first_stage(request)
    calm = first.model_copy(update={"recipe": first.recipe.model_copy(update={"learning_rate": 0.01})})
    first.run_folder.mkdir()
    train(calm, StopFlag())
    result = train(request, StopFlag())
    assert result.planned_steps and result.steps < result.planned_steps


def test_fp8_is_left_aside_and_that_is_said(preferred: Make, caplog: pytest.LogCaptureFixture) -> None:
    request = preferred("run", base_precision="fp8", max_steps=1)
    train(request, StopFlag())
    assert 'base_precision = "fp8" in the recipe is left aside: the likelihoods of pairs' in caplog.text


def test_the_rate_is_a_fiftieth_and_the_epoch_one(preferred: Make) -> None:
    request = preferred("run", epochs=3, warm_steps=9)
    second = second_stage(request, Path("adapter"))
    assert second.recipe.learning_rate == pytest.approx(request.recipe.learning_rate * PREFERENCE_RATE)
    assert (second.recipe.epochs, second.recipe.warm_steps, second.arm) == (1, None, "preferred")
    assert (first_stage(request).arm, first_stage(request).recipe.epochs) == ("distilled", 3)
