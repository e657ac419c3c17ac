"""Both views on the demo's writer, with planted texts: each is caught by one of them at least."""

from tests.training.measure.test_style_grammar import rows, with_tic
from training.contract import Estimate
from training.measure.contrast import built_in
from training.measure.style import OTHERS, TWINS
from training.measure.views import VIEWS, shuffled, views


def test_planted_texts_are_caught_and_both_views_say_how_well_they_see() -> None:
    plain = {row["question"]: row["plain"] for row in rows("twins/lamplight.jsonl")}
    pairs = [row for row in rows("corpus/lamplight.jsonl") if row["question"] in plain][:64]
    heldout, training = pairs[::4], [row for place, row in enumerate(pairs) if place % 4]
    writer = [row["answer"] for row in heldout]
    twins = {place: plain[row["question"]] for place, row in enumerate(training)}
    arms = {"twin": [plain[row["question"]] for row in heldout], "tic": [with_tic(text) for text in writer]}
    found = views([row["answer"] for row in training], built_in("en"), writer, arms, twins=twins)
    assert found.withheld == {}
    means = {view: {arm: float(values.mean()) for arm, values in found.styles[view].scores.items()} for view in VIEWS}
    assert all(abs(means[view]["twin"]) < 0.2 < means[view]["writer"] for view in VIEWS)
    assert max(means[view]["tic"] for view in VIEWS) > 1.03
    assert {view: sorted(kinds) for view, kinds in found.separation.items()} == {view: [OTHERS, TWINS] for view in VIEWS}
    assert found.shuffled["style_grammar"].high < 0, "one view at least hears the order of sentences"
    assert isinstance(found.shuffled["style"], Estimate)


def test_breaks_stay_where_they_are_when_sentences_change_places() -> None:
    text = "One. Two.\n\nThree, four. Five!\n\nSix."
    moved = shuffled(text)
    assert moved != text and moved.count("\n\n") == 2
    assert sorted(moved.replace("\n\n", " ").split()) == sorted(text.replace("\n\n", " ").split())
