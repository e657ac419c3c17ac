"""The dataset of multiplications: nothing that is examined is trained on, whatever the settings; the same wish gives the same folder."""

import json
from collections import Counter
from pathlib import Path

import pytest
from pydantic import ValidationError

from training.arithmetic.chains import PHRASINGS, TRAINABLE, beyond, chain, generate, is_held_out, question, unseen
from training.arithmetic.data import REWORDED, dataset_files, read_questions, write_dataset
from training.contract import MultiplicationData


def unordered(pairs: object) -> set[tuple[int, int]]:
    return {(min(x, y), max(x, y)) for x, y in pairs}  # type: ignore[attr-defined]


@pytest.mark.parametrize("digits", [1, 2, 3, 6])
def test_training_and_examined_pairs_never_overlap_not_even_exchanged_or_of_other_seeds(digits: int) -> None:
    trained = unordered((row["x"], row["y"]) for seed in (0, 1) for row in generate(500, digits, seed))
    examined = unordered(unseen(500, digits, 0)) | unordered(unseen(500, digits, 7))
    assert trained & examined == set()
    assert len(trained) > 30 and len(examined) >= 9


def test_all_pairs_of_one_digit_are_either_trained_on_or_held_out() -> None:
    trained = unordered((row["x"], row["y"]) for row in generate(200, 1, 0))
    examined = unordered(unseen(500, 1, 0))
    assert (len(trained), len(examined)) == (36, 9)
    assert len(unseen(500, 1, 0)) == 18


def test_one_pair_in_five_is_held_out() -> None:
    assert sum(is_held_out(x, y) for x in range(1, 201) for y in range(1, 201)) / 40_000 == pytest.approx(0.2, abs=0.01)


def test_rows_have_different_pairs_until_there_are_no_others_and_then_other_words() -> None:
    pairs = [(row["x"], row["y"]) for row in generate(5000, 3, 0)]
    assert len(set(pairs)) == 5000
    rows = [(row["x"], row["y"], row["phrasing"]) for row in generate(400, 1, 0)]
    assert len(set(rows)) == 400


def test_phrasings_are_trained_on_equally_often_and_some_never() -> None:
    counts = Counter(row["phrasing"] for row in generate(2400, 3, 0))
    assert counts == dict.fromkeys(range(12), 200)
    assert {row["phrasing"] for row in generate(50, 3, 0, phrasings=1)} == {0}
    assert [phrasing for phrasing in REWORDED if phrasing >= TRAINABLE] == [12, 13]
    assert len([phrasing for phrasing in REWORDED if phrasing < TRAINABLE]) >= 6
    with pytest.raises(ValidationError, match="less than or equal to 12"):
        MultiplicationData(phrasings=TRAINABLE + 1)


def test_a_row_is_a_question_and_its_chain() -> None:
    row = generate(1, 3, 0)[0]
    x, y = row["x"], row["y"]
    assert [message["content"] for message in row["messages"]] == [question(x, y, row["phrasing"]), chain(x, y)]
    assert generate(20, 3, 4) == generate(20, 3, 4) != generate(20, 3, 5)


def test_beyond_training_both_numbers_are_longer_and_no_run_of_any_length_trains_on_them() -> None:
    assert {(len(str(x)), len(str(y))) for x, y in beyond(50, 3, 0)} == {(4, 4)}
    longer = beyond(10_000, 1, 0)
    assert len(longer) == len(set(longer)) and all(is_held_out(x, y) and x > 9 < y for x, y in longer)
    assert unordered(longer) & unordered((row["x"], row["y"]) for row in generate(10_000, 2, 0)) == set()


def test_all_the_pairs_there_are_can_be_wanted() -> None:
    assert len(unseen(200_000, 3, 0)) == sum(is_held_out(x, y) for x in range(1, 1000) for y in range(1, 1000)) < 200_000


def test_the_reworded_questions_ask_for_the_unseen_pairs() -> None:
    files = dataset_files(MultiplicationData(samples=10, pairs=6, reworded_pairs=4, beyond_pairs=0))
    asked = [(row["x"], row["y"]) for row in files["heldout.jsonl"]]
    reworded = files["reworded.jsonl"]
    assert len(asked) == 6
    assert [row["phrasing"] for row in reworded] == [phrasing for phrasing in REWORDED for _ in range(4)]
    assert [(row["x"], row["y"]) for row in reworded] == asked[:4] * len(REWORDED)
    assert files["beyond.jsonl"] == []


def test_a_dataset_is_written_once_with_a_manifest_and_read_as_sets(tmp_path: Path) -> None:
    data = MultiplicationData(samples=10, digits=2, phrasings=3, pairs=5, reworded_pairs=2, beyond_pairs=1)
    folder = write_dataset(tmp_path, data)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert {name: entry["rows"] for name, entry in manifest["files"].items()} == {
        "direct.jsonl": 10,
        "heldout.jsonl": 5,
        "reworded.jsonl": 16,
        "beyond.jsonl": 1,
    }
    assert folder.name == manifest["digest"][:16]
    assert manifest["facts"]["phrasings_trained"] == list(PHRASINGS[:3])
    assert {name: len(rows) for name, rows in read_questions(folder).items()} == {
        "unseen": 5,
        **{f"reworded-{phrasing}": 2 for phrasing in REWORDED},
        "beyond": 1,
    }
    before = (folder / "manifest.json").stat().st_mtime_ns
    assert write_dataset(tmp_path, data) == folder
    assert (folder / "manifest.json").stat().st_mtime_ns == before
    assert write_dataset(tmp_path, data.model_copy(update={"seed": 1})) != folder


def test_a_dataset_cut_by_a_kill_is_written_again(tmp_path: Path) -> None:
    data = MultiplicationData(samples=10, digits=2, pairs=5, reworded_pairs=0, beyond_pairs=0)
    folder = write_dataset(tmp_path, data)
    whole = (folder / "direct.jsonl").read_bytes()
    (folder / "manifest.json").unlink()
    (folder / "direct.jsonl").write_bytes(whole[:100])
    assert (write_dataset(tmp_path, data) / "direct.jsonl").read_bytes() == whole
