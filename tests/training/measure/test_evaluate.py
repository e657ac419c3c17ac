"""Whole evaluations with a tiny model: every arm, killed and gone on with, stopped."""

import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tests.training.child import Child
from tests.training.conftest import answer_and_measure, kept_answers, recipe, without_answers, write_dataset
from training.answer.generate import answer_batch
from training.contract import (
    ANSWERED_FILE,
    GREEDY,
    RESULT_FILE,
    Answering,
    ArmRequest,
    EvaluateRequest,
    EvaluateResult,
    TrainRequest,
    last_file,
    read_json,
    write_json,
)
from training.errors import AdapterError, DatasetError, Stopped, TrainingError
from training.fit.train import train
from training.measure.asking import load_exam
from training.measure.evaluate import evaluate, measure
from training.models.model import load_base
from training.signals import StopFlag

DEGENERATION = {"rep4", "distinct2", "longest_loop", "unfinished_share", "empty_share", "length_ratio", "odd_length_share"}
SHOWN_SOMETIMES = {"style", "style_grammar", "style_distance"}
SAMPLED = Answering(temperature=0.7)
MEASURES = DEGENERATION | {"verbatim_share", "longest_copy", "foreign_phrases", "own_phrases"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("data") / "dataset", heldout=10)


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory, models: Path, dataset: Path) -> Path:
    """An adapter trained on the writer's pairs."""
    folder = tmp_path_factory.mktemp("trained")
    return train(TrainRequest(run_folder=folder, dataset=dataset, arm="direct", recipe=recipe(epochs=3), models=models), StopFlag()).adapter


def request(folder: Path, models: Path, dataset: Path, adapter: Path, **changes: object) -> EvaluateRequest:
    folder.mkdir(exist_ok=True)
    arms = (ArmRequest(name="base"), ArmRequest(name="direct", adapter=adapter), ArmRequest(name="few-shot", examples=2))
    fields = {"run_folder": folder, "dataset": dataset, "base": "tiny-random-qwen2", "precision": "fp32", "arms": arms, "models": models}
    made = EvaluateRequest.model_validate(
        {
            **fields,
            "candidate": "direct",
            "ability": False,
            "questions": 10,
            "max_new_tokens": 12,
            "cut_answers": True,
            "batch": 4,
            **changes,
        }
    )
    write_json(made, folder / "request.json")
    return made


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
    for messages in load_exam(asked).heldout:
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


@pytest.mark.parametrize("plain", [True, False], ids=["decode", "generate"])
def test_a_stop_ends_a_long_answer_where_it_is(models: Path, monkeypatch: pytest.MonkeyPatch, plain: bool) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    monkeypatch.setattr("training.answer.generate.can_decode", lambda _model: plain)
    base.chat.end_id = -1
    looks: list[int] = []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Stopped("Stopped by SIGTERM.")

    with pytest.raises(Stopped):
        answer_batch(base.model, base, [base.chat.prompt([{"role": "user", "content": "a"}])], [50], look=look)
    assert len(looks) == 3


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


def test_answering_ends_before_anything_is_measured(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    asked = request(tmp_path / "run", models, dataset, adapter)
    evaluate(asked, StopFlag())
    assert last_file(asked.run_folder, "evaluate") == asked.run_folder / ANSWERED_FILE
    assert last_file(asked.run_folder, "measure") is None and not (asked.run_folder / "samples.jsonl").exists()


def test_an_adapter_that_is_gone_is_named(tmp_path: Path, models: Path, dataset: Path) -> None:
    with pytest.raises(AdapterError, match="holds no adapter"):
        evaluate(request(tmp_path / "run", models, dataset, tmp_path / "gone"), StopFlag())


def test_a_choice_of_questions_is_the_same_for_the_same_seed(tmp_path: Path, models: Path, dataset: Path, adapter: Path) -> None:
    chosen = [load_exam(request(tmp_path / "run", models, dataset, adapter, questions=3, seed=seed)).heldout for seed in (0, 0, 1)]
    assert len(chosen[0]) == 3
    assert chosen[0] == chosen[1] != chosen[2]


def test_an_answer_does_not_depend_on_its_neighbours_in_the_batch(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    prompts = [base.chat.prompt([{"role": "user", "content": text}]) for text in ("a", "a much longer question than the others", "b c")]
    together = answer_batch(base.model, base, prompts, [12] * 3)
    assert together == [answer_batch(base.model, base, [prompt], [12])[0] for prompt in prompts]


def test_an_answer_that_ends_exactly_at_the_limit_has_ended(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    prompt = base.chat.prompt([{"role": "user", "content": "a"}])
    written = answer_batch(base.model, base, [prompt], [3])[0]
    base.chat.end_id = answer_batch(base.model, base, [prompt], [4])[0].ids[3]
    assert base.chat.end_id not in written.ids
    assert [answer_batch(base.model, base, [prompt], [limit])[0].finished for limit in (2, 3, 4)] == [False, True, True]
    assert [answer.finished for answer in answer_batch(base.model, base, [prompt] * 2, [3, 9])] == [True, True]


def test_a_limit_that_would_cut_the_writer_is_refused_and_none_named_fits(
    tmp_path: Path, models: Path, dataset: Path, adapter: Path
) -> None:
    arms = {"arms": (ArmRequest(name="base"),), "candidate": "base", "questions": 3}
    with pytest.raises(DatasetError, match=r"max_new_tokens = 12 would cut 100% of the writer's own held-out answers"):
        evaluate(request(tmp_path / "cut", models, dataset, adapter, cut_answers=False, **arms), StopFlag())
    samples = answer_and_measure(request(tmp_path / "fits", models, dataset, adapter, max_new_tokens=None, **arms)).samples
    longest = max(len(json.loads(line)["base"]) for line in samples.read_text().splitlines())
    assert longest > 12


def test_an_answer_ends_at_the_templates_end_token(models: Path) -> None:
    base = load_base("tiny-random-qwen2", None, "fp32", models, torch.device("cpu"))
    prompt = base.chat.prompt([{"role": "user", "content": "a"}])
    first = answer_batch(base.model, base, [prompt], [5])[0]
    with torch.no_grad():  # make the end token the likeliest whatever came before
        base.model.get_output_embeddings().weight.zero_()
        base.model.get_output_embeddings().weight[: base.chat.end_id] = 0
        base.model.get_output_embeddings().weight[base.chat.end_id] = base.model(
            torch.tensor([prompt]), output_hidden_states=True
        ).hidden_states[-1][0, -1]
    ended = answer_batch(base.model, base, [prompt], [5])[0]
    assert (first.finished, first.tokens) == (False, 5)
    assert (ended.text, ended.finished, ended.tokens) == ("", True, 0)
