"""What the training side is asked: which arms, which candidate, in which folder."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.database import open_database
from ghostwriter.errors import CorpusTooSmall, SnapshotError
from ghostwriter.home import Home
from ghostwriter.judging.promote import ADAPTER_FILE, Champion
from ghostwriter.mlflow_runs.handover import request_evaluation, request_training
from ghostwriter.snapshot import write_snapshot
from ghostwriter.writer import Writer, load_writer
from tests.vote_case import QUESTION, vote
from training.contract import Answering, EvaluateRequest, Recipe, Tracking, TrainRequest, TrainResult, read_json, write_json

RECIPE = Recipe(base="tiny", revision="r1")
TRACKING = Tracking(uri="http://none", experiment="e", run_name="r")


@pytest.fixture
def lamplight() -> Writer:
    return load_writer("lamplight")


def dataset(home: Home, mode: str = "distilled", *more: str) -> Path:
    names = ("direct.jsonl", "distilled.jsonl", "heldout.jsonl", *more)
    files: dict[str, Iterable[dict[str, Any]]] = {name: [{"id": name}] for name in names}
    return write_snapshot(home.datasets("lamplight"), "dataset", "lamplight", files, facts={"mode": mode})


def trained(home: Home, writer: Writer, *arms: Any, made: Path | None = None) -> list[Path]:
    requests = [request_training(home, writer, made or dataset(home), arm, RECIPE, TRACKING) for arm in arms]
    for arm, request in zip(arms, requests, strict=True):
        (adapter := request.parent / "adapter").mkdir(exist_ok=True)
        (adapter / ADAPTER_FILE).write_text(str(arm))
        facts = {"rows": 1, "dropped": {}, "steps": 1, "tokens": 1, "seconds": 1, "first_loss": 1, "last_loss": 1}
        write_json(
            TrainResult.model_validate({"adapter": adapter, "base": "tiny", "run_id": None, **facts}), request.parent / "result.json"
        )
    return requests


def champion(folder: Path, weights: str, base: str = "tiny") -> Champion:
    folder.mkdir(exist_ok=True)
    (folder / ADAPTER_FILE).write_text(weights)
    return Champion("3", folder, base, "r1")


def arms(path: Path) -> list[str]:
    return [arm.name for arm in read_json(EvaluateRequest, path).arms]


def test_a_night_examines_base_candidate_and_champion(home: Home, lamplight: Writer, tmp_path: Path) -> None:
    requests = trained(home, lamplight, "distilled")
    path = request_evaluation(home, lamplight, requests, champion(tmp_path / "c", "old"), TRACKING)
    assert arms(path) == ["base", "distilled", "champion-v3"]
    asked = read_json(EvaluateRequest, path)
    assert (asked.candidate, asked.base, asked.revision, asked.questions, asked.ability) == ("distilled", "tiny", "r1", 1, True)


def test_a_comparison_examines_all_arms_in_one_evaluation(home: Home, lamplight: Writer, tmp_path: Path) -> None:
    requests = trained(home, lamplight, "direct", "distilled", "mixed")
    path = request_evaluation(home, lamplight, requests, champion(tmp_path / "c", "old"), TRACKING, few_shot=True)
    assert arms(path) == ["base", "few-shot", "direct", "distilled", "mixed", "champion-v3"]
    assert read_json(EvaluateRequest, path).arms[1].examples == lamplight.teacher.examples
    alone = request_evaluation(home, lamplight, requests[:1], None, TRACKING, few_shot=True)
    assert alone.parent != path.parent


def test_arms_that_learned_from_notes_are_compared_in_one_pass_and_in_two_and_judged_at_night_as_served(
    home: Home, lamplight: Writer
) -> None:
    made = dataset(home, "inverse+distilled", "inverse.jsonl")
    requests = trained(home, lamplight, "inverse", "distilled", "inverse+distilled", made=made)
    compared = request_evaluation(home, lamplight, requests, None, TRACKING, few_shot=True)
    passes = ["inverse", "inverse-two-pass", "distilled", "inverse+distilled", "inverse+distilled-two-pass"]
    assert arms(compared) == ["base", "few-shot", *passes]
    asked = read_json(EvaluateRequest, compared)
    assert [arm.notes for arm in asked.arms] == ["none", "none", "none", "draft", "none", "none", "draft"]
    assert (asked.candidate, asked.arms[2].adapter) == ("inverse", asked.arms[3].adapter)
    assert arms(request_evaluation(home, lamplight, requests[:1], None, TRACKING)) == ["base", "inverse"]


def test_an_arm_that_learns_from_notes_needs_a_dataset_with_rewrites(home: Home, lamplight: Writer) -> None:
    with pytest.raises(CorpusTooSmall, match=r"no rows in inverse\.jsonl, which arm 'inverse' trains on\. Distil in mode 'inverse' first"):
        request_training(home, lamplight, dataset(home), "inverse", RECIPE, TRACKING)


def test_votes_go_to_an_arm_of_preferences_without_those_on_a_heldout_question_and_to_no_other(home: Home, lamplight: Writer) -> None:
    held = [{"role": "user", "content": "How do gulls sleep in a gale?"}, {"role": "assistant", "content": "Badly, and one at a time."}]
    rows = {"direct.jsonl": [{"id": "d"}], "distilled.jsonl": [{"id": "t"}]}
    rows |= {"heldout.jsonl": [{"id": "h", "question_id": "q", "messages": held}]}
    made = write_snapshot(home.datasets("lamplight"), "dataset", "lamplight", rows, facts={"mode": "distilled"})
    before = request_training(home, lamplight, made, "preferred", RECIPE, TRACKING)
    engine = open_database(home.database_url)
    vote(engine, "a", "good", "poor", writer="lamplight")
    vote(engine, "a", "good", "poor", writer="lamplight", question="How do gulls sleep in gales?")
    vote(engine, "a", "good", "poor")
    engine.dispose()
    after = request_training(home, lamplight, made, "preferred", RECIPE, TRACKING)
    assert before.parent != after.parent
    assert not (before.parent / "votes.jsonl").exists()
    (line,) = (after.parent / "votes.jsonl").read_text(encoding="utf-8").splitlines()
    said = [[{"role": role, "content": text}] for role, text in (("user", QUESTION), ("assistant", "good"), ("assistant", "poor"))]
    assert json.loads(line) == dict(zip(("prompt", "chosen", "rejected"), said, strict=True))
    other = request_training(home, lamplight, made, "distilled", RECIPE, TRACKING)
    assert not (other.parent / "votes.jsonl").exists()


def test_what_is_examined_is_answered_as_the_writer_is_served(home: Home, lamplight: Writer) -> None:
    requests = trained(home, lamplight, "distilled")
    path = request_evaluation(home, lamplight, requests, None, TRACKING)
    answering = read_json(EvaluateRequest, path).answering
    assert answering == lamplight.answering != Answering()
    cold = lamplight.model_copy(update={"answering": Answering(temperature=0)})
    assert request_evaluation(home, cold, requests, None, TRACKING).parent != path.parent


def test_greedy_answers_are_asked_for_where_the_writer_file_says_so(home: Home, lamplight: Writer) -> None:
    requests = trained(home, lamplight, "distilled")
    path = request_evaluation(home, lamplight, requests, None, TRACKING)
    both = lamplight.model_copy(update={"evaluation": lamplight.evaluation.model_copy(update={"greedy": True})})
    other = request_evaluation(home, both, requests, None, TRACKING)
    assert [read_json(EvaluateRequest, found).greedy for found in (path, other)] == [False, True]
    assert other.parent != path.parent


@pytest.mark.parametrize(("weights", "base"), [("distilled", "tiny"), ("old", "bigger")], ids=["the candidate itself", "another base"])
def test_a_champion_that_cannot_be_a_rival_is_no_arm(home: Home, lamplight: Writer, tmp_path: Path, weights: str, base: str) -> None:
    requests = trained(home, lamplight, "distilled")
    assert arms(request_evaluation(home, lamplight, requests, champion(tmp_path / "c", weights, base), TRACKING)) == ["base", "distilled"]


def test_an_arm_is_not_trained_on_answers_of_another_mode(home: Home, lamplight: Writer) -> None:
    with pytest.raises(SnapshotError, match="are distilled, so arm 'self-instruct' cannot train on them"):
        request_training(home, lamplight, dataset(home), "self-instruct", RECIPE, TRACKING)


def test_a_warm_recipe_starts_from_a_champion_of_its_own_shape_only(home: Home, lamplight: Writer) -> None:
    warm = RECIPE.model_copy(update={"warm_steps": 5})
    for name, shape, starts in (("like", (warm.rank, warm.alpha), True), ("other", (warm.rank + 1, warm.alpha), False)):
        home.path.mkdir(parents=True, exist_ok=True)
        found = champion(home.path / name, name, warm.base)
        (found.adapter / "adapter_config.json").write_text(json.dumps({"r": shape[0], "lora_alpha": shape[1]}))
        cold, begun = (
            read_json(TrainRequest, request_training(home, lamplight, dataset(home), "mixed", recipe, TRACKING, found))
            for recipe in (RECIPE, warm)
        )
        assert cold.start is None
        assert begun.start == (found.adapter if starts else None)
        assert begun.run_folder != cold.run_folder
