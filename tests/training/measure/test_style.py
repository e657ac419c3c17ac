"""The style score between other writers and the writer, in English and Chinese, on real texts."""

import json
import random
from pathlib import Path

import numpy as np
import pytest

from training.measure.contrast import built_in, language_of, other_writers
from training.measure.style import style

CORPUS = Path(__file__).parents[3] / "demo" / "corpus"
BLAND = "In conclusion, it is important to note that there are several key factors to consider when discussing this topic"


def answers(name: str) -> list[str]:
    return [json.loads(line)["answer"] for line in (CORPUS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def bland(count: int) -> list[str]:
    draw = random.Random(0)
    return [" ".join(draw.choices(BLAND.split(), k=60)) + "." for _ in range(count)]


@pytest.mark.parametrize(("name", "language"), [("lamplight", "en"), ("laocheng", "zh")])
def test_a_real_writer_is_told_from_others_and_a_mixture_lies_between(name: str, language: str) -> None:
    texts = answers(name)
    heldout, training = texts[::4][:12], [text for index, text in enumerate(texts) if index % 4]
    assert language_of(training) == language
    others = built_in(language)
    half = [own if index % 2 else other for index, (own, other) in enumerate(zip(heldout, others, strict=False))]
    found = style(training, others, heldout, [], {"half": half, "same": heldout})
    assert found.auc is not None and found.auc >= 0.95
    assert (found.scores["writer"].mean(), found.scores["other writers"].mean()) == pytest.approx((1.0, 0.0))
    assert found.scores["same"].mean() == pytest.approx(1.0)
    assert 0.3 < found.scores["half"].mean() < 0.75


def test_it_is_withheld_where_the_writer_cannot_be_told_from_others() -> None:
    texts = built_in("en")
    found = style(bland(20), bland(40)[20:], bland(52)[40:], [], {})
    assert found.scores == {}
    assert "cannot tell the writer's held-out answers from other writers' (AUC 0." in found.withheld
    assert len(texts) == 16


def test_the_base_and_silence_do_not_sound_like_the_writer() -> None:
    texts = answers("lamplight")
    heldout, training = texts[:12], texts[12:60]
    found = style(training, built_in("en"), heldout, bland(12), {"base": bland(12), "silent": [" "] * 12})
    assert found.scores["base"].mean() < 0.2
    assert np.all(found.scores["silent"] <= 0.0)


def test_it_is_withheld_for_too_few_texts() -> None:
    found = style(bland(20), bland(16), bland(4), [], {})
    assert found.withheld == "there are 4 held-out answers, 20 training answers and 16 texts of other writers; it needs 5 of each"


def test_the_datasets_own_other_writers_come_first(tmp_path: Path) -> None:
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "another hand"}]}
    (tmp_path / "contrast.jsonl").write_text(json.dumps(row) + "\n")
    assert other_writers(tmp_path, "en") == ["another hand", *built_in("en")]
