"""The view of a large base: its numbers are those of plain transformers, and what it cannot tell is withheld."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.conftest import answer_and_measure, sentence, write_dataset
from training.answer.arms import LoadedArm, SharedBase
from training.contract import ANSWERED_FILE, ArmRequest, EvaluateRequest, read_json, write_json
from training.measure import style_transfer
from training.measure.answered import Answered
from training.measure.evaluate import RESULT_FILE, measure
from training.measure.style import OTHERS, TWINS
from training.measure.style_transfer import IN_THE_STYLE, PLAINLY, hears_transfer, transfer_gains, transfer_style
from training.models.model import load_base
from training.signals import StopFlag

QUESTIONS = 8


@pytest.mark.parametrize(
    ("parameters", "hears"), [(134_515_008, False), (4_999_999_999, False), (5_000_000_000, True), (7_615_616_512, True)]
)
def test_only_a_large_base_is_asked(parameters: int, hears: bool) -> None:
    assert hears_transfer(parameters) is hears


def request(folder: Path, models: Path) -> EvaluateRequest:
    folder.mkdir(exist_ok=True)
    return EvaluateRequest(
        run_folder=folder,
        dataset=write_dataset(folder / "dataset"),
        base="tiny-random-qwen2",
        precision="fp32",
        arms=(ArmRequest(name="base"),),
        candidate="base",
        ability=False,
        questions=QUESTIONS,
        max_new_tokens=12,
        cut_answers=True,
        models=models,
    )


def plainly(loaded: LoadedArm, text: str) -> str:
    """The base's greedy rewrite, by transformers' own generate."""
    base = loaded.base
    prompt = base.chat.prompt([{"role": "user", "content": PLAINLY["en"] + text}])
    most = len(base.chat.encode([text])[0])
    ids = torch.tensor([prompt])
    made = base.model.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=most, eos_token_id=base.chat.end_id
    )
    return str(base.tokenizer.decode(made[0, len(prompt) :], skip_special_tokens=True)).strip()


def loss(loaded: LoadedArm, example: str, text: str) -> float:
    """Nats a token of the text behind the example, by the model's own loss."""
    base = loaded.base
    turns = [(IN_THE_STYLE["en"] + plainly(loaded, one), one) for one in (example, text)]
    messages = [{"role": role, "content": said} for turn in turns for role, said in zip(("user", "assistant"), turn, strict=True)]
    prompt, answer = base.chat.prompt(messages[:-1]), base.chat.answer(messages)  # type: ignore[arg-type]
    with torch.no_grad():
        labels = torch.tensor([[-100] * len(prompt) + answer])
        return float(base.model(input_ids=torch.tensor([prompt + answer]), labels=labels).loss)


def test_gains_are_those_of_plain_transformers(tmp_path: Path, models: Path) -> None:
    training, others = ([sentence(start + number, 6) for number in range(2)] for start in (0, 40))
    crowds = {"arm": [sentence(90, 7), "", sentence(91, 5)]}
    with SharedBase(request(tmp_path / "run", models), StopFlag()).arm(ArmRequest(name="base")) as loaded:
        found = transfer_gains(loaded, crowds, training, others, {}, "en", 0)
        assert set(found) == {"arm"}  # all other texts are examples
        assert found["arm"][1] is None
        for text, gain in zip(crowds["arm"], found["arm"], strict=True):
            if text:
                own, foreign = (np.mean([loss(loaded, example, text) for example in side]) for side in (training, others))
                assert gain == pytest.approx(foreign - own, abs=1e-4)


def test_no_example_is_scored_nor_its_rewrite(tmp_path: Path, models: Path) -> None:
    training = [sentence(number, 6) for number in range(4)]
    others = [sentence(40 + number, 6) for number in range(5)]
    twins = {place: sentence(80 + place, 6) for place in range(4)}
    with SharedBase(request(tmp_path / "run", models), StopFlag()).arm(ArmRequest(name="base")) as loaded:
        found = transfer_gains(loaded, {}, training, others, twins, "en", 0)
    assert {name: len(gains) for name, gains in found.items()} == {OTHERS: 3, TWINS: 2}


@pytest.mark.parametrize("text", ["a letter is a token here, and this goes on. " * 20, "一个字是三个标记。" * 60, "short", ""])
def test_a_text_is_read_up_to_as_many_tokens_in_every_language(models: Path, text: str) -> None:
    tokenizer = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu")).tokenizer
    (read,) = style_transfer._beginnings(tokenizer, [text])
    assert text.startswith(read) and len(tokenizer(read).input_ids) == pytest.approx(min(160, len(text.encode())), abs=3)


def test_the_writer_is_1_and_the_nearest_strangers_are_0() -> None:
    gains = {"writer": [0.5, 0.6, 0.4] * 4, OTHERS: [-0.2] * 12, TWINS: [0.0, 0.1] * 6, "arm": [0.275] * 11 + [None]}
    style = transfer_style(gains)
    assert style.separation == {OTHERS: 1.0, TWINS: 1.0} and not style.withheld
    assert np.mean(style.scores["writer"]) == pytest.approx(1)
    assert np.mean(style.scores[TWINS]) == pytest.approx(0)
    assert style.scores["arm"] == pytest.approx([0.5] * 11 + [0])


def test_what_it_cannot_tell_is_withheld() -> None:
    same = [0.1, 0.2] * 6
    assert transfer_style({"writer": same, OTHERS: same}).withheld == (
        "the base's likelihoods cannot tell the writer's held-out answers from other writers (AUC 0.50, needs 0.9)"
    )
    assert transfer_style({"writer": [0.1] * 4, OTHERS: same}).withheld.startswith("there are 4 held-out answers and 12 texts of others")


def test_an_evaluation_on_a_large_base_has_the_view(tmp_path: Path, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tiny base taken for a large one: it is asked, and says that it hears nothing; told better, the scores are there."""
    asked = request(tmp_path / "run", models)
    for name, value in {"LEAST_PARAMETERS": 1, "MOST_STRANGERS": 6, "MOST_TOKENS": 60}.items():
        monkeypatch.setattr(style_transfer, name, value)
    result = answer_and_measure(asked)
    assert result.withheld["style_transfer"].startswith("the base's likelihoods cannot tell the writer's held-out answers")
    path = asked.run_folder / ANSWERED_FILE
    answered = read_json(Answered, path)
    assert {name: len(gains) for name, gains in answered.transfer.items()} == {"base": QUESTIONS, "writer": QUESTIONS, OTHERS: 6}
    told = {"base": (0.2,) * QUESTIONS, "writer": (0.4,) * QUESTIONS, OTHERS: (0.0,) * 6}
    write_json(answered.model_copy(update={"transfer": told}), path)
    (asked.run_folder / RESULT_FILE).unlink()
    again = measure(asked, StopFlag())
    assert again.scores["base"]["style_transfer"].value == pytest.approx(0.5)
    assert again.separation["style_transfer"] == {OTHERS: 1.0}
    assert "style_transfer" not in again.withheld


def test_a_small_base_is_not_asked_and_nothing_is_said_to_be_missing(tmp_path: Path, models: Path) -> None:
    asked = request(tmp_path / "run", models)
    result = answer_and_measure(asked)
    assert read_json(Answered, asked.run_folder / ANSWERED_FILE).transfer == {}
    assert "style_transfer" not in result.withheld and "style_transfer" not in result.scores["base"]
