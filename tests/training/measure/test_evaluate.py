"""Whole evaluations with a tiny model: every arm, killed and gone on with, stopped."""

import json
import signal
import time
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.training.child import Child
from tests.training.conftest import answer_and_measure, kept_answers, without_answers
from tests.training.measure.conftest import request
from training.answer.arms import SharedBase
from training.contract import ANSWERED_FILE, GREEDY, RESULT_FILE, Answering, ArmRequest, EvaluateRequest, Notes, last_file
from training.errors import AdapterError, DatasetError, Stopped
from training.measure.asking import load_corpus
from training.measure.evaluate import evaluate
from training.models.model import load_base
from training.notes import PLAINLY
from training.signals import StopFlag

DEGENERATION = {"rep4", "distinct2", "longest_loop", "unfinished_share", "empty_share", "length_ratio", "odd_length_share"}
SHOWN_SOMETIMES = {"style", "style_grammar", "style_distance"}
SAMPLED = Answering(temperature=0.7)
MEASURES = DEGENERATION | {"verbatim_share", "longest_copy", "foreign_phrases", "own_phrases"}


def test_every_arm_is_scored_on_the_same_questions(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    result = answer_and_measure(request(tmp_path / "run", models, dataset, adapter, ability=True))
    assert set(result.scores) == {"base", "direct", "few-shot", "writer"}
    assert set(result.scores["direct"]) - SHOWN_SOMETIMES == MEASURES | {"heldout_loss", "ability", "ability_loss"}
    assert set(result.scores["writer"]) - SHOWN_SOMETIMES == MEASURES
    assert set(result.differences) == {"base", "few-shot", "writer"}
    assert result.reloaded == 1.0
    assert result.differences["base"]["heldout_loss"].high < -0.3
    samples = [json.loads(line) for line in result.samples.read_text().splitlines()]
    assert [list(sample) for sample in samples] == [["question", "writer", "base", "direct", "few-shot"]] * 10
    page = (tmp_path / "run" / "report.html").read_text()
    assert samples[0]["writer"] in page and "heldout_loss" in page
    assert json.loads((tmp_path / "run" / "progress.json").read_text()) == {"stage": "evaluate", "done": 30, "total": 30, "unit": "answers"}


def test_in_two_passes_the_adapter_is_asked_with_the_bases_own_draft_as_notes(
    tmp_path: Path, models: Path, dataset: Path, adapter: Path
) -> None:
    kinds: dict[str, Notes] = {"one pass": "none", "two-pass": "draft", "shuffled": "another draft", "told": "answer"}
    arms = [ArmRequest(name=name, adapter=adapter, notes=notes) for name, notes in kinds.items()]
    asked = request(tmp_path / "run", models, dataset, adapter, arms=arms, candidate="one pass")
    result = answer_and_measure(asked)
    samples = [json.loads(line) for line in result.samples.read_text().splitlines()]
    assert [sample["question"] for sample in samples] == [pair[-2]["content"] for pair in load_corpus(asked).heldout]
    shared = SharedBase(asked, StopFlag())

    def answers(arm: ArmRequest, questions: list[str]) -> list[str]:
        with shared.arm(arm) as loaded:
            prompts = [shared.base.chat.prompt([{"role": "user", "content": question}]) for question in questions]
            return [one.text for one in loaded.answers(prompts, [12] * len(prompts))]

    questions = [sample["question"] for sample in samples]
    drafts = answers(ArmRequest(name="drafts"), [f"{question}\n\n{PLAINLY['en']}" for question in questions])
    notes = {"two-pass": drafts, "shuffled": [*drafts[1:], drafts[0]], "told": [sample["writer"] for sample in samples]}
    for name, texts in notes.items():
        noted = [f"{question}\n\nNotes:\n{text}" if text else question for question, text in zip(questions, texts, strict=True)]
        assert [sample[name] for sample in samples] == answers(arms[1], noted)
    assert len({tuple(sample[name] for sample in samples) for name in kinds}) == 4
    losses = {name: result.scores[name]["heldout_loss"].value for name in kinds}
    assert len(set(losses.values())) == 4


def test_notes_are_for_adapters_only() -> None:
    with pytest.raises(ValueError, match="arm 'base' has notes and no adapter"):
        ArmRequest(name="base", notes="draft")


def test_greedy_figures_stand_beside_sampled_ones_and_change_nothing(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    sampled = answer_and_measure(request(tmp_path / "sampled", models, dataset, adapter, answering=SAMPLED))
    both = answer_and_measure(request(tmp_path / "both", models, dataset, adapter, answering=SAMPLED, greedy=True))
    greedy = answer_and_measure(request(tmp_path / "greedy", models, dataset, adapter, answering=GREEDY, greedy=True))
    assert (both.scores, both.differences) == (sampled.scores, sampled.differences)
    assert set(both.greedy) == {"base", "direct", "few-shot"}
    for arm, figures in both.greedy.items():
        assert set(figures) >= MEASURES
        assert figures == {name: greedy.scores[arm][name] for name in figures}
    assert both.greedy["direct"] != {name: both.scores["direct"][name] for name in both.greedy["direct"]}
    assert (sampled.greedy, greedy.greedy) == ({}, {})
    assert json.loads((tmp_path / "both" / "progress.json").read_text())["done"] == 60
    columns = json.loads((tmp_path / "both" / "measures.json").read_text())["columns"]
    assert columns[-3:] == ["base, greedily", "direct, greedily", "few-shot, greedily"]


def test_the_base_is_loaded_once_for_all_arms_and_checks(
    tmp_path: Path, models: Path, dataset: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []
    load = AutoModelForCausalLM.from_pretrained
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *a, **named: loaded.append(a) or load(*a, **named))
    assert answer_and_measure(request(tmp_path / "run", models, dataset, adapter)).reloaded == 1.0
    assert len(loaded) == 1


def test_the_loss_is_that_of_the_model_itself(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    asked = request(tmp_path / "run", models, dataset, adapter, arms=(ArmRequest(name="base"),), candidate="base")
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    total, tokens = 0.0, 0
    for messages in load_corpus(asked).heldout:
        prompt, answer = base.chat.prompt(messages[:-1]), base.chat.answer(messages)
        labels = torch.tensor([[-100] * len(prompt) + answer])
        with torch.no_grad():
            total += float(base.model(input_ids=torch.tensor([prompt + answer]), labels=labels).loss) * len(answer)
        tokens += len(answer)
    assert answer_and_measure(asked).scores["base"]["heldout_loss"].value == pytest.approx(total / tokens, rel=1e-5)


def test_killed_it_goes_on_without_asking_again_and_ends_the_same(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    whole = answer_and_measure(request(tmp_path / "whole", without_answers(models, tmp_path / "one"), dataset, adapter))
    killed = request(tmp_path / "killed", without_answers(models, tmp_path / "two"), dataset, adapter)
    child = Child(tmp_path / "said.txt", "evaluate", killed.run_folder / "request.json")
    while not kept_answers(killed.models):
        assert child.is_running, child.said.read_text()
        time.sleep(0.002)
    child.send(signal.SIGKILL)
    child.wait()
    assert not (killed.run_folder / RESULT_FILE).exists()
    path = kept_answers(killed.models)[0]
    path.write_bytes(path.read_bytes().replace(b'"text": "', b'"text": "kept ', 1))  # an answer that no model would give
    samples, expected = answer_and_measure(killed).samples.read_text(), whole.samples.read_text()
    assert samples != expected
    assert samples.replace("kept ", "", 1) == expected


def test_an_answer_cut_by_a_kill_is_asked_again(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    asked = request(tmp_path / "run", without_answers(models, tmp_path / "own"), dataset, adapter)
    whole = answer_and_measure(asked).samples.read_text()
    (asked.run_folder / RESULT_FILE).unlink()
    (asked.run_folder / ANSWERED_FILE).unlink()
    for path in (asked.models / "answers").iterdir():
        path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    assert answer_and_measure(asked).samples.read_text() == whole
    (asked.run_folder / RESULT_FILE).unlink()
    (asked.run_folder / ANSWERED_FILE).unlink()
    assert answer_and_measure(asked).samples.read_text() == whole


def test_the_next_evaluation_asks_a_known_model_nothing(
    tmp_path: Path, models: Path, dataset: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = without_answers(models, tmp_path / "own")
    first = answer_and_measure(request(tmp_path / "first", own, dataset, adapter))
    monkeypatch.setattr("training.answer.arms.answer_batch", None)
    monkeypatch.setattr("training.answer.arms.nats_of_rows", None)
    again = answer_and_measure(request(tmp_path / "again", own, dataset, adapter))
    assert again.samples.read_text() == first.samples.read_text()
    assert again.scores == first.scores


def test_sampled_answers_are_kept_by_how_they_were_chosen(
    tmp_path: Path, models: Path, dataset: Path, adapter: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = without_answers(models, tmp_path / "own")
    drawn = {"arms": (ArmRequest(name="direct", adapter=adapter),), "answering": Answering(seed=1)}
    first = answer_and_measure(request(tmp_path / "first", own, dataset, adapter, **drawn))
    greedy = answer_and_measure(request(tmp_path / "greedy", own, dataset, adapter, **{**drawn, "answering": GREEDY}))
    assert first.reloaded == greedy.reloaded == 1.0
    assert first.samples.read_text() != greedy.samples.read_text()
    monkeypatch.setattr("training.answer.arms.answer_batch", None)
    again = answer_and_measure(request(tmp_path / "kept", own, dataset, adapter, **drawn))
    assert again.samples.read_text() == first.samples.read_text()


def test_a_request_of_an_earlier_version_is_answered_greedily(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    earlier = request(tmp_path / "run", models, dataset, adapter).model_dump(mode="json")
    del earlier["answering"]
    assert EvaluateRequest.model_validate_json(json.dumps(earlier)).answering.temperature == 0


def test_a_stop_keeps_what_was_answered(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    stop = StopFlag()
    stop.signal = signal.SIGTERM
    with pytest.raises(Stopped, match=r"Stopped by SIGTERM\. The answers given so far are kept"):
        evaluate(request(tmp_path / "run", models, dataset, adapter), stop)


def test_answering_ends_before_anything_is_measured(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    asked = request(tmp_path / "run", models, dataset, adapter)
    evaluate(asked, StopFlag())
    assert last_file(asked.run_folder, "evaluate") == asked.run_folder / ANSWERED_FILE
    assert last_file(asked.run_folder, "measure") is None and not (asked.run_folder / "samples.jsonl").exists()


def test_an_adapter_that_is_gone_is_named(tmp_path: Path, models: Path, dataset: Path) -> None:
    with pytest.raises(AdapterError, match="holds no adapter"):
        evaluate(request(tmp_path / "run", models, dataset, tmp_path / "gone"), StopFlag())


def test_a_choice_of_questions_is_the_same_for_the_same_seed(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    chosen = [load_corpus(request(tmp_path / "run", models, dataset, adapter, questions=3, seed=seed)).heldout for seed in (0, 0, 1)]
    assert len(chosen[0]) == 3
    assert chosen[0] == chosen[1] != chosen[2]


def test_a_limit_that_would_cut_the_writer_is_refused_and_none_named_fits(
    tmp_path: Path, models: Path, dataset: Path, adapter: Path
) -> None:
    arms = {"arms": (ArmRequest(name="base"),), "candidate": "base", "questions": 3}
    with pytest.raises(DatasetError, match=r"max_new_tokens = 12 would cut 100% of the writer's own held-out answers"):
        evaluate(request(tmp_path / "cut", models, dataset, adapter, cut_answers=False, **arms), StopFlag())
    samples = answer_and_measure(request(tmp_path / "fits", models, dataset, adapter, max_new_tokens=None, **arms)).samples
    longest = max(len(json.loads(line)["base"]) for line in samples.read_text().splitlines())
    assert longest > 12
