"""A season of nights is tidied: what is needed stays, the chain does not notice, and a kill anywhere leaves nothing to trip over."""

import os
import shutil
import signal
from datetime import UTC, datetime, timedelta
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.database import open_database
from ghostwriter.distilling.trained_on import trained_on
from ghostwriter.judging.promote import download_version, fetch_champion, model_name
from ghostwriter.keeping.tidy import Tidied, tidy
from ghostwriter.lock import AlreadyRunning, only_one
from ghostwriter.snapshot import finished, newest, read_rows
from ghostwriter.tasks.chain import chosen_or_newest, read_level
from tests.distill_case import make_writer
from tests.ghostwriter.keeping.nights_case import STEM, Nights, age

NOW = datetime(2026, 12, 1, 5, tzinfo=UTC)
SEASON, PROMOTED, KEPT = 16, (1, 4, 6), [4, 6, *range(8, 16)]


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Nights:
    """Sixteen nights, the last of them yesterday; three champions, the last one ten days old. Made once, copied for each test."""
    made = Nights.begun(tmp_path_factory.mktemp("season"), empty_store)
    for number in range(SEASON):
        made.night(number, NOW - timedelta(days=SEASON - number), promote=number in PROMOTED)
    return made


@pytest.fixture
def nights(season: Nights, tmp_path: Path) -> Nights:
    return season.copied(tmp_path / "copy")


def tidied(nights: Nights, *, dry_run: bool = False) -> Tidied:
    return tidy(make_writer(), nights.home, nights.client, NOW, dry_run=dry_run)


def test_what_stays_is_what_is_needed_and_the_chain_does_not_notice(nights: Nights) -> None:
    home = nights.home
    before = read_level(home, STEM), newest(home.answers(STEM)), newest(home.datasets(STEM)), trained_on(home.datasets(STEM))
    done = tidied(nights)
    assert (read_level(home, STEM), newest(home.answers(STEM)), newest(home.datasets(STEM)), trained_on(home.datasets(STEM))) == before
    assert sorted(int(folder.name) for folder in home.runs(STEM).iterdir()) == KEPT
    assert len(finished(home.datasets(STEM))) == len(finished(home.answers(STEM))) == 10
    assert sorted(folder.name for folder in home.champions(STEM).iterdir()) == ["champion-v2", "champion-v3"]
    assert nights.adapters() == 11, "the eight of the last days, and the three that were ever the champion"
    assert len(done.folders) == 3 * 6 + 1
    assert tidied(nights) == Tidied((), 0, ())


def test_champion_previous_and_every_earlier_version_can_still_be_fetched(nights: Nights) -> None:
    tidied(nights)
    champion = fetch_champion(nights.client, nights.home, STEM)
    assert champion
    assert champion.version == "3"
    for version in nights.client.search_model_versions(f"name = '{model_name(STEM)}'"):
        assert download_version(nights.client, nights.home, STEM, version).adapter.exists()


def test_a_dry_run_says_the_same_and_touches_nothing(nights: Nights) -> None:
    before = _folders(nights), nights.adapters()
    told = tidied(nights, dry_run=True)
    assert told.bytes > 6 * 4_096
    assert (_folders(nights), nights.adapters()) == before
    assert tidied(nights) == told


def _folders(nights: Nights) -> list[Path]:
    return sorted(path for path in nights.home.path.rglob("*") if path.is_dir())


def test_what_a_person_chose_to_train_on_again_stays(nights: Nights) -> None:
    parent = nights.home.datasets(STEM)
    old = min(finished(parent), key=lambda folder: folder.stat().st_mtime)
    chosen_or_newest(old.name[:8], parent, "datasets of Tester")
    tidied(nights)
    assert old in finished(parent)


def test_a_training_that_did_not_end_keeps_its_checkpoints_and_what_it_works_on(nights: Nights) -> None:
    run = nights.home.runs(STEM) / f"{2:016d}"
    (run / "result.json").unlink()
    (run / "checkpoints").mkdir()
    age(run, NOW - timedelta(days=SEASON - 2))
    before = len(finished(nights.home.datasets(STEM)))
    tidied(nights)
    assert (run / "checkpoints").exists()
    assert len(finished(nights.home.datasets(STEM))) == before - 5


def test_while_the_writer_is_distilled_nothing_goes(nights: Nights) -> None:
    engine = open_database(nights.home.database_url)
    with only_one(engine, STEM), pytest.raises(AlreadyRunning):
        tidied(nights)
    engine.dispose()
    assert len(list(nights.home.runs(STEM).iterdir())) == SEASON


def test_killed_at_any_step_no_stage_trips_over_what_is_left_and_the_next_run_finishes_it(nights: Nights) -> None:
    home = nights.home
    before = read_level(home, STEM), trained_on(home.datasets(STEM))
    kills = 0
    for step in (1, 14, 2, 9, 3):
        process = get_context("fork").Process(target=_tidy_and_die, args=(nights, step))
        process.start()
        process.join()
        kills += process.exitcode == -signal.SIGKILL
        assert (read_level(home, STEM), trained_on(home.datasets(STEM))) == before
        for folder in finished(home.datasets(STEM)):
            assert read_rows(folder, "direct.jsonl")
        assert fetch_champion(nights.client, home, STEM)
    assert kills >= 4
    tidied(nights)
    assert not list(home.path.rglob("*.purged"))
    assert sorted(int(folder.name) for folder in home.runs(STEM).iterdir()) == KEPT
    assert nights.adapters() == 11


def _tidy_and_die(nights: Nights, step: int) -> None:
    """Tidy, and be killed before the `step`th thing is renamed, or when half of its files are gone."""
    left = count(1)

    def deadly(real: Any) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            if next(left) == step:
                for path in list(Path(arguments[0]).glob("*"))[:1]:
                    if path.is_file() and Path(arguments[0]).name.endswith(".purged"):
                        path.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*arguments, **named)

        return call

    Path.rename = deadly(Path.rename)  # type: ignore[method-assign]
    shutil.rmtree = deadly(shutil.rmtree)
    tidied(nights)
