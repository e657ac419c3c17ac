"""Planted controls for the second view: what is no voice scores about 0, what breaks the voice less than 1."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from training.measure.contrast import built_in
from training.measure.style import OTHERS, TWINS, Style
from training.measure.style_features import SENTENCE
from training.measure.style_grammar import grammar_style
from training.measure.views import shuffled

DEMO = Path(__file__).parents[3] / "demo"


def rows(path: str) -> list[dict[str, str]]:
    return [json.loads(line) for line in (DEMO / path).read_text(encoding="utf-8").splitlines()]


def with_tic(text: str) -> str:
    return SENTENCE.sub(lambda sentence: re.sub(r"([.!?]+)$", r", dear\1", sentence[0]), text)


@pytest.fixture(scope="module")
def lamplight() -> tuple[Style, list[str]]:
    """The demo's writer with plain rewrites of the training answers; the arms are planted."""
    plain = {row["question"]: row["plain"] for row in rows("twins/lamplight.jsonl")}
    pairs = [row for row in rows("corpus/lamplight.jsonl") if row["question"] in plain]
    heldout, training = pairs[::5], [row for place, row in enumerate(pairs) if place % 5]
    writer = [row["answer"] for row in heldout]
    arms = {
        "twin": [plain[row["question"]] for row in heldout],
        "shuffled": [shuffled(text) for text in writer],
        "silent": [""] * len(writer),
    }
    twins = {place: plain[row["question"]] for place, row in enumerate(training)}
    others = built_in("en")
    return grammar_style([row["answer"] for row in training], others, writer, [], arms, twins), writer


def test_the_writer_is_told_from_others_and_from_plain_rewrites(lamplight: tuple[Style, list[str]]) -> None:
    found, _ = lamplight
    assert min(found.separation[OTHERS], found.separation[TWINS]) >= 0.95
    assert float(found.scores["writer"].mean()) == pytest.approx(1.0)
    assert max(float(found.scores[name].mean()) for name in (OTHERS, TWINS)) == pytest.approx(0.0)


def test_the_same_topic_in_plain_prose_is_no_voice(lamplight: tuple[Style, list[str]]) -> None:
    assert abs(lamplight[0].scores["twin"].mean()) < 0.15


def test_sentences_in_another_order_are_heard(lamplight: tuple[Style, list[str]]) -> None:
    found, writer = lamplight
    assert sorted(shuffled(writer[0]).split()) == sorted(writer[0].split()) and shuffled(writer[0]) != writer[0]
    assert found.scores["shuffled"].mean() < 0.9


def test_silence_is_not_the_writers(lamplight: tuple[Style, list[str]]) -> None:
    assert lamplight[0].scores["silent"].tolist() == [0.0] * len(lamplight[1])


def test_a_chinese_writer_is_told_from_others_without_rewrites() -> None:
    texts = [row["answer"] for row in rows("corpus/laocheng.jsonl")]
    writer, training = texts[::5], [text for place, text in enumerate(texts) if place % 5]
    found = grammar_style(training, built_in("zh"), writer, [], {"shuffled": list(map(shuffled, writer))})
    assert list(found.separation) == [OTHERS] and found.separation[OTHERS] >= 0.98
    assert float(found.scores[OTHERS].mean()) == pytest.approx(0.0)
    assert found.scores["shuffled"].mean() < 0.97


def test_texts_of_one_hand_have_no_voice_of_their_own() -> None:
    others = [text for text in built_in("en") if len(text) > 200]
    found = grammar_style(others[::2], others[1::2], others[::2][:6], [], {})
    assert found.scores == {}
    assert re.match(
        r"the grammars cannot tell the writer's held-out answers from other writers \(AUC 0\.\d\d, needs 0\.9\)", found.withheld
    )


def test_it_is_withheld_for_too_few_texts() -> None:
    found = grammar_style(["a"] * 5, ["b"] * 5, ["c"] * 4, [], {})
    assert found.withheld == "there are 4 held-out answers, 5 training answers and 5 texts of other writers, and it needs 5 of each"


def test_nothing_is_scored_by_a_grammar_that_read_it() -> None:
    """A text of others that nothing else resembles stays as foreign when it is one of them: its own grammar would know it by heart."""
    texts = [row["answer"] for row in rows("corpus/lamplight.jsonl")][:40]
    others = built_in("en")[:12]
    found = grammar_style(texts[10:], others, texts[:10], [], {"again": others[:10]})
    assert np.corrcoef(found.scores["again"], found.scores[OTHERS][:10])[0, 1] > 0.999
