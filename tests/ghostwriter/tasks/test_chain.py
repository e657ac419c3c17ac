"""The nightly chain goes by the data: 500 random weeks of a model of it, and the real reading of what lies in the home folder."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings, strategies as st

from ghostwriter.errors import SnapshotError
from ghostwriter.home import Home
from ghostwriter.snapshot import CURRENT, MANIFEST, forget_current, newest, read_manifest, set_current, write_snapshot
from ghostwriter.tasks.chain import (
    Level,
    can_train,
    chosen_or_newest,
    is_woken,
    mark_trained,
    next_work,
    read_level,
)
from tests.ghostwriter.tasks.chain_model import DAGS, Chain, Dag, EdgeChain, Fate

Act = Callable[[Chain], None]
dags = st.sampled_from(DAGS)
acts: st.SearchStrategy[Act] = st.one_of(
    st.builds(lambda dag: lambda chain: chain.start(dag), dags),
    st.builds(lambda dag: lambda chain: chain.end(dag, "ends well"), dags),
    st.builds(lambda dag: lambda chain: chain.end(dag, "fails"), dags),
    st.builds(lambda dag: lambda chain: chain.end(dag, "is killed"), dags),
    st.builds(lambda dag: lambda chain: chain.paused.add(dag), dags),
    st.builds(lambda dag: lambda chain: chain.paused.discard(dag), dags),
    st.builds(lambda dag: lambda chain: chain.clear(dag), dags),
    st.builds(lambda dag: lambda chain: chain.by_hand(dag), dags),
    st.builds(lambda dag: lambda chain: chain.event(dag), st.sampled_from(("distill", "train"))),
    st.builds(lambda on: lambda chain: setattr(chain, "lose_events", on), st.booleans()),
    st.builds(lambda on: lambda chain: setattr(chain, "double_events", on), st.booleans()),
    st.just(Chain.news),
    st.just(Chain.take_back),
)
nights = st.tuples(st.booleans(), st.lists(acts, max_size=16))
weeks = st.lists(nights, min_size=7, max_size=7)


def live(chain: Chain, week: list[tuple[bool, list[Act]]]) -> Chain:
    """A week, and a free night after it."""
    for news, night in week:
        if news:
            chain.news()
        chain.tick()
        for act in night:
            act(chain)
    chain.free_night()
    return chain


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(weeks)
def test_after_any_week_one_free_night_trains_on_the_last_snapshot_and_none_twice_or_out_of_order(
    week: list[tuple[bool, list[Act]]],
) -> None:
    chain = live(Chain(), week)
    assert chain.snapshot == chain.dataset == chain.text
    assert chain.dataset in chain.marks
    assert len(chain.trained) == len(set(chain.trained))
    assert chain.order == sorted(chain.order)


def test_a_dataset_whose_training_failed_is_trained_on_though_distilling_fails_every_night() -> None:
    chain = Chain()
    fates: list[dict[Dag, Fate]] = [{"collect": "ends well", "distill": "ends well", "train": "fails"}]
    fates += [{"collect": "ends well", "distill": "fails", "train": "ends well"}] * 2
    for night in fates:
        chain.news()
        chain.tick()
        for dag in DAGS:
            chain.start(dag)
            chain.end(dag, night[dag])
    assert chain.trained == [1]


def test_the_model_catches_a_chain_that_goes_by_its_events() -> None:
    """Three snapshots come while one is trained on, their order is not kept, and the last event is lost."""
    chain = EdgeChain()
    chain.event("train", 1)
    chain.start("train")
    for number in (3, 2):
        chain.event("train", number)
    chain.texts, chain.lose_events = 3, True
    chain.news()
    chain.tick()
    chain.start("collect")
    chain.end("collect", "ends well")
    chain.free_night()
    assert chain.trained == [1, 3, 2]
    assert chain.text not in chain.trained


@pytest.mark.parametrize(
    ("level", "work", "woken_training_works"),
    [
        (Level(None, None, False), None, False),
        (Level("b", None, False), "distil", False),
        (Level("b", "a", False), "distil", True),
        (Level("b", "a", True), "distil", False),
        (Level("b", "b", False), "train", True),
        (Level("b", "b", True), None, False),
    ],
)
def test_what_is_left_to_do_follows_from_the_data(level: Level, work: str | None, woken_training_works: bool) -> None:
    assert next_work(level) == work
    assert can_train(level) == woken_training_works


def answers(home: Home, text: str) -> Path:
    return write_snapshot(home.answers("w"), "answers", "w", {"answers.jsonl": [{"id": text}]})


def dataset(home: Home, made_from: Path, text: str = "row") -> Path:
    parents = (read_manifest(made_from).digest,)
    return write_snapshot(home.datasets("w"), "dataset", "w", {"direct.jsonl": [{"id": made_from.name + text}]}, parents=parents)


def test_the_level_is_read_from_manifests_and_the_mark(tmp_path: Path) -> None:
    home = Home(tmp_path)
    assert read_level(home, "w") == Level(None, None, False)
    first = answers(home, "one")
    assert next_work(read_level(home, "w")) == "distil"
    made = dataset(home, first)
    assert next_work(read_level(home, "w")) == "train"
    mark_trained(made, "run-1")
    mark_trained(made, "run-2")
    assert next_work(read_level(home, "w")) is None
    assert json.loads((made / "trained.json").read_text())["mlflow_run"] == "run-1"
    answers(home, "two")
    assert next_work(read_level(home, "w")) == "distil"


def test_a_change_that_is_taken_back_makes_the_old_snapshot_the_newest_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = answers(home, "one")
    set_current(first)
    set_current(answers(home, "two"))
    again = answers(home, "one")
    set_current(again)
    assert newest(home.answers("w")) == again == first


def test_after_a_purge_nothing_older_steps_in_until_the_next_night(tmp_path: Path) -> None:
    home = Home(tmp_path)
    older = answers(home, "one")
    forget_current(home.answers("w"))
    assert newest(home.answers("w")) is None
    assert next_work(read_level(home, "w")) is None
    set_current(older)
    assert newest(home.answers("w")) == older


def test_an_experiment_is_not_what_the_nights_go_on_from(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made_from = answers(home, "one")
    nightly = dataset(home, made_from)
    set_current(nightly)
    dataset(home, made_from, "an experiment's")
    assert newest(home.datasets("w")) == nightly


def test_answers_whose_dataset_has_the_rows_of_an_earlier_one_are_distilled_and_not_trained_on_again(tmp_path: Path) -> None:
    """Of an answer that only drops out of training, the dataset shows nothing: its folder is the one that was trained on."""
    home = Home(tmp_path)
    rows = {"direct.jsonl": [{"id": "row"}]}
    for text in ("one", "two"):
        made_from = answers(home, text)
        set_current(made_from)
        made = write_snapshot(home.datasets("w"), "dataset", "w", rows, parents=(read_manifest(made_from).digest,))
        set_current(made)
        mark_trained(made, "run")
        assert next_work(read_level(home, "w")) is None


@pytest.mark.parametrize("damage", ["gone", "no manifest", "a manifest that is no JSON", "no pointer", "a pointer elsewhere"])
def test_the_newest_is_always_a_valid_one_below_home(tmp_path: Path, damage: str) -> None:
    home = Home(tmp_path)
    first, last = answers(home, "one"), answers(home, "two")
    set_current(last)
    if damage == "gone":
        for path in last.iterdir():
            path.unlink()
        last.rmdir()
    elif damage == "no manifest":
        (last / MANIFEST).unlink()
    elif damage == "a manifest that is no JSON":
        (last / MANIFEST).write_text("{")
    elif damage == "no pointer":
        (last.parent / CURRENT).unlink()
    else:
        (last.parent / CURRENT).write_text(json.dumps({"folder": "/etc"}))
    expected = last if damage in ("no pointer", "a pointer elsewhere") else first
    assert newest(home.answers("w")) == expected


def test_the_form_may_name_another_folder_and_nothing_at_all_is_said(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with pytest.raises(SnapshotError, match=r"no answers of W in .*answers/w yet"):
        chosen_or_newest(None, home.answers("w"), "answers of W")
    first = answers(home, "one")
    set_current(answers(home, "two"))
    for typed in (str(first), first.name, first.name[:6], f" {first.name} "):
        assert chosen_or_newest(typed, home.answers("w"), "answers of W") == first
    for nothing in (None, "", " "):
        assert chosen_or_newest(nothing, home.answers("w"), "answers of W") == newest(home.answers("w"))


def test_what_is_typed_leads_nowhere_but_below_home(tmp_path: Path) -> None:
    home = Home(tmp_path)
    folder, elsewhere = answers(home, "one"), answers(Home(tmp_path / "elsewhere"), "two")
    answers(home, "three")
    (home.answers("w") / "link").symlink_to(elsewhere)
    there = [str(elsewhere), f"../../elsewhere/answers/w/{elsewhere.name}", f"./../w/{folder.name}", "..", ".", "/", "*", "manifest.json"]
    for typed in [*there, "link", "f" * 500, "x\0y"]:
        with pytest.raises(SnapshotError, match=r"names nothing in .*answers/w\. Write the name"):
            chosen_or_newest(typed, home.answers("w"), "answers of W")


def test_digits_that_fit_two_folders_name_neither(tmp_path: Path) -> None:
    for name in ("aa11", "aa22"):
        (tmp_path / name).mkdir()
        (tmp_path / name / MANIFEST).write_text("{}")
    with pytest.raises(SnapshotError, match=r"'aa' names more than one folder: aa11, aa22 in"):
        chosen_or_newest("aa", tmp_path, "answers of W")


def test_only_an_event_wakes_a_run() -> None:
    types = {kind: is_woken(SimpleNamespace(run_type=kind)) for kind in ("asset_triggered", "manual", "scheduled", "backfill")}
    assert types == {"asset_triggered": True, "manual": False, "scheduled": False, "backfill": False}
