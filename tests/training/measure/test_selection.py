"""Which third of the teacher's answers an arm trains on."""

import json
from pathlib import Path

import pytest

from tests.training.conftest import ROOT, pair, recipe
from training.contract import SELECTED_FILE, Arm, TrainRequest
from training.errors import DatasetError
from training.fit.train import train
from training.measure.selection import best, select
from training.signals import StopFlag

DEMO = ROOT / "demo"
VOICED, PLAIN = 20, 40


def rows(path: Path, field: str) -> list[dict[str, str]]:
    read = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [{"question": row["question"], "text": row[field]} for row in read]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's writer with plain rewrites; her teacher gives twenty answers in her voice, and forty plain ones between them."""
    folder = tmp_path_factory.mktemp("dataset")
    own = rows(DEMO / "corpus" / "lamplight.jsonl", "answer")[:60]
    voiced = rows(DEMO / "recorded" / "lamplight.jsonl", "answer")[::20][:VOICED]
    plain = rows(DEMO / "twins" / "lamplight.jsonl", "plain")[:PLAIN]
    taught = [row for index, one in enumerate(voiced) for row in (plain[2 * index], one, plain[2 * index + 1])]
    twins = rows(DEMO / "twins" / "lamplight.jsonl", "plain")[PLAIN : 3 * PLAIN]
    for name, those in (("direct", own), ("distilled", taught), ("twins", twins)):
        (folder / f"{name}.jsonl").write_text("".join(pair(row["question"], row["text"]) for row in those), encoding="utf-8")
    return folder


def request(folder: Path, dataset: Path, arm: Arm, models: Path, **changes: object) -> TrainRequest:
    return TrainRequest(run_folder=folder, dataset=dataset, arm=arm, recipe=recipe(**changes), models=models)


def places(asked: TrainRequest) -> list[int]:
    """Where the chosen rows stood among all."""
    lines = (asked.dataset / "distilled.jsonl").read_text(encoding="utf-8").splitlines()
    chosen = (asked.run_folder / SELECTED_FILE).read_text(encoding="utf-8").splitlines()
    return [lines.index(line) for line in chosen]


def test_the_third_that_sounds_like_the_writer_is_chosen_and_trained_on(tmp_path: Path, dataset: Path, models: Path) -> None:
    asked = request(tmp_path / "run", dataset, "distilled-top", models, max_length=2000, max_steps=1)
    select(asked, StopFlag())
    chosen = places(asked)
    assert (len(chosen), chosen) == (VOICED, sorted(chosen))
    assert sum(place % 3 == 1 for place in chosen) >= VOICED - 1
    assert train(asked, StopFlag()).rows == VOICED


def test_a_random_third_is_the_seeds_and_stays_once_it_is_chosen(tmp_path: Path, dataset: Path, models: Path) -> None:
    asked = [request(tmp_path / str(seed), dataset, "distilled-random", models, seed=seed) for seed in (0, 1)]
    for one in asked:
        select(one, StopFlag())
    first, second = map(places, asked)
    assert len(first) == len(second) == VOICED
    assert first != second
    assert 2 < sum(place % 3 == 1 for place in first) < VOICED - 5
    (asked[0].run_folder / SELECTED_FILE).write_text("as it was\n")
    select(asked[0], StopFlag())
    assert (asked[0].run_folder / SELECTED_FILE).read_text() == "as it was\n"


def test_where_style_cannot_be_told_nothing_is_chosen(tmp_path: Path, dataset: Path, models: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for name in ("direct.jsonl", "distilled.jsonl"):
        (few / name).write_text("".join((dataset / name).read_text(encoding="utf-8").splitlines(keepends=True)[:4]), encoding="utf-8")
    asked = request(tmp_path / "run", few, "distilled-top", models)
    with pytest.raises(DatasetError, match="Arm 'distilled-top' cannot choose answers by style: there are 2 held-out answers"):
        select(asked, StopFlag())
    assert not (tmp_path / "run").exists()


def test_of_equals_the_first_is_the_best() -> None:
    assert best([0.5, 0.9, 0.5, 0.1, 0.5, 0.2]) == [1, 0]
