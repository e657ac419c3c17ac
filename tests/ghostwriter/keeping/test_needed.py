"""What can go is never what a champion, the one before it, the newest, a stage at work, or the nightly chain needs."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings, strategies as st

from ghostwriter.keep_settings import Keep
from ghostwriter.keeping.needed import Dataset, Run, Snapshot, Stored, Version, unneeded

NOW = datetime(2026, 12, 1, 5, tzinfo=UTC)
NAMES = [f"{number:02d}" for number in range(12)]
names, times = st.sampled_from(NAMES), st.integers(0, 400).map(lambda days: NOW - timedelta(days=days))
maybe = st.none() | names
snapshots = st.dictionaries(names, st.builds(Snapshot, times))
datasets = st.dictionaries(names, st.builds(Dataset, times, maybe))
runs = st.dictionaries(names, st.builds(Run, times, st.booleans(), maybe, maybe, st.frozensets(names, max_size=2)))
versions = st.lists(st.builds(Version, names, maybe, maybe), max_size=2).map(tuple)
stores = st.builds(Stored, snapshots, datasets, runs, st.dictionaries(names, times), versions, maybe, maybe)
keeps = st.builds(Keep, candidates=st.integers(1, 5), days=st.integers(8, 20), unfinished_days=st.integers(8, 90))
many = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def after(stored: Stored, keep: Keep) -> Stored:
    """What is left."""
    gone = unneeded(stored, keep, NOW)
    return Stored(
        {name: one for name, one in stored.snapshots.items() if name not in gone.snapshots},
        {name: one for name, one in stored.datasets.items() if name not in gone.datasets},
        {name: one for name, one in stored.runs.items() if name not in gone.runs},
        {name: one for name, one in stored.champions.items() if name not in gone.champions},
        stored.versions,
        stored.current_snapshot,
        stored.current_dataset,
    )


def age(used: datetime) -> int:
    return (NOW - used).days


@many
@given(stores, keeps)
def test_the_chain_finds_the_state_it_goes_on_from(stored: Stored, keep: Keep) -> None:
    """The newest answers, the dataset made last with its mark, and whatever training on it was begun."""
    left = after(stored, keep)
    assert (stored.current_snapshot in left.snapshots) == (stored.current_snapshot in stored.snapshots)
    assert (stored.current_dataset in left.datasets) == (stored.current_dataset in stored.datasets)
    on_current = {name for name, run in stored.runs.items() if run.dataset is not None and run.dataset == stored.current_dataset}
    assert on_current <= set(left.runs)


@many
@given(stores, keeps)
def test_champion_and_previous_keep_what_they_came_from(stored: Stored, keep: Keep) -> None:
    left = after(stored, keep)
    for version in stored.versions:
        assert (version.folder in left.champions) == (version.folder in stored.champions)
        assert (version.dataset in left.datasets) == (version.dataset in stored.datasets)
        trained = {name for name, run in stored.runs.items() if run.mlflow_run is not None and run.mlflow_run == version.mlflow_run}
        assert trained <= set(left.runs)


@many
@given(stores, keeps)
def test_what_stays_keeps_what_it_was_made_from(stored: Stored, keep: Keep) -> None:
    left = after(stored, keep)
    for run in left.runs.values():
        assert (run.dataset in left.datasets) == (run.dataset in stored.datasets)
        assert run.finished or run.champions & set(stored.champions) <= set(left.champions)
    for dataset in left.datasets.values():
        assert (dataset.snapshot in left.snapshots) == (dataset.snapshot in stored.snapshots)


@many
@given(stores, keeps)
def test_what_is_new_or_at_work_stays_and_so_do_the_last_candidates(stored: Stored, keep: Keep) -> None:
    left = after(stored, keep)
    for before, now in ((stored.snapshots, left.snapshots), (stored.datasets, left.datasets)):
        assert {name for name, one in before.items() if age(one.used) <= keep.days} <= set(now)
        assert len(now) >= min(keep.candidates, len(before))
    for name, run in stored.runs.items():
        assert name in left.runs or age(run.used) > (keep.days if run.finished else keep.unfinished_days)
    if gone := set(stored.runs) - set(left.runs):
        newer = [run for run in left.runs.values() if run.used >= max(stored.runs[name].used for name in gone)]
        assert len(newer) >= keep.candidates


@many
@given(stores, keeps)
def test_a_second_time_nothing_goes(stored: Stored, keep: Keep) -> None:
    left = after(stored, keep)
    assert after(left, keep) == left


def test_a_year_of_nights_with_news_leaves_days_and_candidates_not_365() -> None:
    nights = [f"{day:03d}" for day in range(365)]
    used = {name: NOW - timedelta(days=364 - day) for day, name in enumerate(nights)}
    stored = Stored(
        {name: Snapshot(when) for name, when in used.items()},
        {name: Dataset(when, name) for name, when in used.items()},
        {name: Run(when, True, name, f"m{name}") for name, when in used.items()},
        {f"v{name}": used[name] for name in nights[::5]},
        (Version("v300", "m300", "300"), Version("v250", "m250", "250")),
        nights[-1],
        nights[-1],
    )
    left = after(stored, Keep())
    assert sorted(left.runs) == sorted(left.datasets) == sorted(left.snapshots) == ["250", "300", *nights[-9:]]
    assert sorted(left.champions) == ["v250", "v300", "v360"]
