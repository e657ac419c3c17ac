"""Near duplicates of real demo answers, with seeded edits."""

import json
import random
from pathlib import Path

from ghostwriter.near_duplicates import jaccard, near_duplicates, shingles

CORPUS = Path(__file__).parents[2] / "demo" / "corpus"


def texts(name: str) -> list[tuple[str, str]]:
    lines = (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [(row["id"], row["answer"]) for row in map(json.loads, lines)]


def edited(text: str, share: float, chance: random.Random) -> str:
    """`text` with a share of its characters replaced, in one run."""
    length = round(len(text) * share)
    start = chance.randrange(max(1, len(text) - length))
    return text[:start] + "".join(chance.choice("甲乙丙丁abcdef") for _ in range(length)) + text[start + length :]


def test_different_answers_of_one_writer_are_no_duplicates() -> None:
    assert near_duplicates(texts("lamplight")) == {}
    assert near_duplicates(texts("laocheng")) == {}


def test_lightly_edited_copies_are_found_each_with_its_original() -> None:
    chance = random.Random(5)
    originals = texts("lamplight") + texts("laocheng")
    copies = [(f"copy of {key}", edited(text, 0.05, chance)) for key, text in originals]
    assert near_duplicates([*originals, *copies]) == {key: key.removeprefix("copy of ") for key, _ in copies}


def test_the_threshold_is_exact() -> None:
    left, right = shingles("床前明月光疑是地上霜举头望明月低头思故乡"), shingles("床前明月光疑是地上霜举头望明月低头思故人")
    assert jaccard(left, right) == 15 / 17
    pair = [("a", "床前明月光，疑是地上霜；举头望明月，低头思故乡。"), ("b", "床前明月光疑是地上霜 举头望明月 低头思故人")]
    assert near_duplicates(pair) == {"b": "a"}
    assert near_duplicates(pair, threshold=0.9) == {}


def test_spaces_punctuation_and_case_do_not_count() -> None:
    assert near_duplicates([("a", "Keep the lamp lit."), ("b", "keep the LAMP, lit!")]) == {"b": "a"}
    assert near_duplicates([("a", ""), ("b", "。")]) == {"b": "a"}
