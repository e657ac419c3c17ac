"""What the demo says at its end, from the result of an evaluation."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from demo.outcome import arm_names, samples, score_table, side_by_side, style_picture, what_happened
from ghostwriter.snapshot import write_snapshot
from training.contract import Estimate, EvaluateResult, Recipe, TrainRequest, TrainResult


def figure(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.1, high=value + 0.1, questions=24)


def evaluated(folder: Path) -> EvaluateResult:
    row = {"question": "Why?", "writer": "So, dear.", "base": "As an AI", "mixed": "Keep the lamp.", "champion-v1": "Oil it."}
    (folder / "samples.jsonl").write_text(json.dumps(row) + "\n")
    scores = {"base": 0.0, "mixed": 0.8, "champion-v1": 0.7, "writer": 1.0}
    return EvaluateResult(
        samples=folder / "samples.jsonl",
        candidate="mixed",
        scores={arm: {"style": figure(value)} for arm, value in scores.items()},
        differences={},
        withheld={},
        reloaded=1.0,
        questions=24,
        run_id=None,
        seconds=1,
    )


def printed(*parts: object) -> str:
    console = Console(record=True, width=160, file=StringIO())
    for part in parts:
        console.print(part)
    return console.export_text()


def test_writer_base_and_champion_answer_side_by_side_in_words_a_reader_knows(tmp_path: Path) -> None:
    result = evaluated(tmp_path)
    names = arm_names(result, "Odessa Lamplight", promoted=True)
    assert list(names.values()) == ["Odessa Lamplight", "the base model", "the champion before (version 1)", "the new champion"]
    question, answers = samples(result.samples, names)[0]
    text = printed(side_by_side(question, answers), score_table(result.scores, names))
    for part in ("Why?", "So, dear.", "As an AI", "Oil it.", "Keep the lamp.", "writes like the writer", "0.800 (0.700 to 0.900)"):
        assert part in text


def test_the_picture_puts_each_arm_between_other_people_and_the_writer(tmp_path: Path) -> None:
    result = evaluated(tmp_path)
    lines = style_picture(result.scores, {"base": "base", "mixed": "candidate", "writer": "writer"})
    places = [line.index("O") for line in lines[1:]]
    assert places == sorted(places)
    assert lines[2] == "candidate  |" + " " * 34 + "-" * 5 + "O" + "-" * 5 + " " * 5 + "|  0.80"
    assert style_picture({"base": {}}, {"base": "base"}) == []


def test_steps_that_were_cut_and_recorded_answers_are_said(tmp_path: Path) -> None:
    facts = {"teacher": {"model": "recorded-else-smollm2-135m"}, "counts": {"accepted": 400}}
    dataset = write_snapshot(tmp_path, "dataset", "x", {"direct.jsonl": []}, facts=facts)
    recipe = Recipe(base="b", max_seconds=240)
    request = TrainRequest(run_folder=tmp_path, dataset=dataset, arm="mixed", recipe=recipe, models=tmp_path, start=Path("champion-v2"))
    facts = {"adapter": tmp_path, "base": "b", "run_id": None, "rows": 1, "dropped": {}, "tokens": 7000, "first_loss": 4, "last_loss": 3}
    result = TrainResult.model_validate({**facts, "steps": 40, "planned_steps": 64, "seconds": 239})
    said = what_happened(request, result)
    assert said[0].startswith("Teacher: recorded-else-smollm2-135m (a strong model's answers, recorded once")
    assert said[1] == "Training: 40 steps, 7,000 tokens in 239 s, going on from champion-v2."
    assert said[2] == "This machine is slow: 24 of 64 steps did not fit into 240 s."
