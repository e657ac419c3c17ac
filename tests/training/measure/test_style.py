"""The style score between other writers and the writer, in English and Chinese, on real texts."""

import json
import random
import re
from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import HashingVectorizer  # type: ignore[import-untyped]

from training.measure import contrast
from training.measure.contrast import built_in, language_of, other_writers
from training.measure.style import style, window_length, windows
from training.measure.style_features import SENTENCE

CORPUS = Path(__file__).parents[3] / "demo" / "corpus"
BLAND = "In conclusion, it is important to note that there are several key factors to consider when discussing this topic"


def answers(name: str) -> list[str]:
    return [json.loads(line)["answer"] for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def bland(count: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(BLAND.split(), k=60)) + "." for _ in range(count)]


def said_again(texts: list[str], length: int, count: int) -> list[str]:
    """`count` texts of `length` characters, each made of the sentences of one of `texts`, in random order and as often as it takes."""
    draw, made = random.Random(length), []
    for index in range(count):
        sentences = [sentence.strip() for sentence in SENTENCE.findall(texts[index % len(texts)]) if sentence.strip()]
        text = ""
        while len(text) < length:
            draw.shuffle(sentences)
            text += "".join(sentences) if language_of(sentences) == "zh" else " ".join([*sentences, ""])
        made.append(text[:length])
    return made


@pytest.mark.parametrize(("name", "language"), [("lamplight", "en"), ("laocheng", "zh")])
def test_a_real_writer_is_told_from_others_whatever_the_length(name: str, language: str) -> None:
    texts, others = answers(name), built_in(language)
    heldout, training = texts[::4][:12], [text for index, text in enumerate(texts) if index % 4]
    assert language_of(training) == language
    arms = {"half": [own if index % 2 else other for index, (own, other) in enumerate(zip(heldout, others, strict=False))]}
    arms |= {f"others {length}": said_again(others[::6], length, 12) for length in (140, 500, 1600)}
    arms |= {f"writer {length}": said_again(heldout, length, 12) for length in (140, 1600)}
    found = style(training, others, heldout, [], {**arms, "same": heldout})
    means = {arm: float(values.mean()) for arm, values in found.scores.items()}
    assert found.auc is not None and found.auc >= 0.95
    assert (means["writer"], means["other writers"], means["same"]) == pytest.approx((1.0, 0.0, 1.0))
    assert 0.3 < means["half"] < 0.75
    assert [arm for arm, value in means.items() if arm.startswith("others") and abs(value) > 0.1] == []
    assert [arm for arm, value in means.items() if arm.startswith("writer") and value < 0.75] == []


@pytest.mark.parametrize(("name", "language"), [("lamplight", "en"), ("laocheng", "zh")])
def test_a_writer_of_fifty_answers_is_told_from_others(name: str, language: str) -> None:
    """A quarter held out, as the split does."""
    texts = answers(name)[:50]
    found = style(texts[12:], built_in(language), texts[:12], [], {})
    assert found.withheld == "" and found.auc is not None and found.auc >= 0.95


def test_the_same_authors_only_longer_are_no_writer() -> None:
    """The planted control: a "writer" made of other writers' own sentences; before windows its AUC was 0.95, on length alone."""
    texts = built_in("zh")
    others = said_again(texts, 300, len(texts))
    found = style(said_again(texts, 1600, 48), others, said_again(texts[::3], 1600, 12), [], {})
    assert found.scores == {}
    assert "cannot tell the writer's held-out answers from other writers (AUC 0." in found.withheld


def test_features_are_counted_once_for_all_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted for each fold anew they took minutes at full size."""
    counted, calls = HashingVectorizer.transform, list[int]()

    def transform(vectorizer: HashingVectorizer, texts: list[str]) -> object:
        calls.append(len(texts))
        return counted(vectorizer, texts)

    monkeypatch.setattr(HashingVectorizer, "transform", transform)
    texts = answers("lamplight")
    assert style(texts[12:40], built_in("en"), texts[:12], [], {"arm": texts[:12]}).scores
    assert len(calls) == 1


def test_windows_are_equally_long_and_lie_evenly_over_a_text() -> None:
    assert windows("0123456789", 4) == ["0123", "6789"]
    assert windows("0123", 4) == ["0123"]
    assert windows("", 4) == [""]
    assert {len(piece) for piece in windows("x" * 10_000, 140)} == {140}
    assert len(windows("x" * 10_000, 140)) == 8
    assert window_length(["x" * 90] * 20 + ["x"]) == 90
    assert window_length(["x" * 2000] * 20) == 140


def test_the_base_and_silence_do_not_sound_like_the_writer() -> None:
    texts = answers("lamplight")
    heldout, training = texts[:12], texts[12:60]
    found = style(training, built_in("en"), heldout, bland(12), {"base": bland(12), "silent": [" "] * 12})
    assert found.scores["base"].mean() < 0.2
    assert np.all(found.scores["silent"] <= 0.0)


def test_it_is_withheld_for_too_few_texts() -> None:
    found = style(bland(20), bland(116), bland(4), [], {})
    assert found.withheld == "there are 4 held-out answers and 20 training answers, and it needs 5 of each"
    found = style(bland(20), bland(16), bland(5), [], {})
    assert found.withheld.startswith("there are 32 passages of 140 characters by other writers, and it needs 100: name more of their texts")


def test_the_built_in_texts_are_many_and_their_origin_is_written_down() -> None:
    folder = Path(contrast.__file__).parent
    origin = (folder / "README.md").read_text(encoding="utf-8")
    for language in ("en", "zh"):
        assert sum(len(windows(text, 140)) for text in built_in(language)) >= 300
        rows = re.findall(rf"^\| {language}/(\S+) \| (\d+) \|.*\|(.+)\|$", origin, re.MULTILINE)
        assert {f"{work}.txt" for work, _, _ in rows} == {path.name for path in (folder / language).iterdir()}
        assert sum(int(number) for _, number, _ in rows) == len(built_in(language)) and all(licence.strip() for _, _, licence in rows)


def test_what_the_licences_want_kept_stands_beside_the_texts() -> None:
    origin = (Path(contrast.__file__).parent / "README.md").read_text(encoding="utf-8").replace("\n> ", " ")
    assert "https://creativecommons.org/licenses/by-sa/3.0/" in origin and "Raphaël Hertzog" in origin and "Roland Mas" in origin
    assert "provided that the entire resulting derived work is distributed under the terms of a permission notice identical" in origin
    assert "Redistributions of source code must retain the above copyright notice" in origin


def test_the_datasets_own_other_writers_come_first_and_enough_of_them_alone(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "another hand"}]}
    (tmp_path / "contrast.jsonl").write_text(json.dumps(row) + "\n")
    assert other_writers(tmp_path, "en") == ["another hand", *built_in("en")]
    (tmp_path / "contrast.jsonl").write_text((json.dumps(row) + "\n") * 100)
    assert other_writers(tmp_path, "en") == ["another hand"] * 100
