"""Where the answers that readers compare come from: the samples of evaluations, which MLflow keeps, as one table by question."""

from collections.abc import Sequence
from dataclasses import dataclass

from ghostwriter.errors import PanelError, SnapshotError, TrackingError
from ghostwriter.home import Home
from ghostwriter.judging.gate import BASE, CHAMPION_ARM, WRITER
from ghostwriter.mlflow_runs.registry import Json, MlflowSilent, Registry
from ghostwriter.page.champions import SAMPLES, find_evaluation, read_champion
from ghostwriter.panel.key import Origin
from ghostwriter.snapshot import newest, read_rows

QUESTION = "question"
DIRECT_FILE = "direct.jsonl"
NEWEST_RUNS = 20
"""Of a writer's evaluations, among which the newest that kept its samples is looked for."""


@dataclass(frozen=True)
class Material:
    """`rows`: `question`, `writer`, and the answer of each arm under its name; `arms`: those to be compared."""

    rows: list[dict[str, str]]
    arms: list[str]
    origins: dict[str, Origin]


def newest_evaluation(registry: Registry, stem: str) -> Material:
    """All arms of the newest evaluation whose samples are there. Raises PanelError or TrackingError."""
    try:
        for run in registry.runs(stem, "evaluate", NEWEST_RUNS):
            if rows := registry.table(run["info"]["run_id"], SAMPLES):
                return _all_arms(rows, run["info"]["run_id"], run["info"]["experiment_id"])
    except MlflowSilent as silent:
        raise TrackingError(f"{silent} Run this again once it does.") from None
    raise PanelError(f"MLflow has no evaluation of {stem} with its samples. Run a night first, or the stage `evaluate` alone.")


def of_versions(registry: Registry, stem: str, numbers: Sequence[int]) -> Material:
    """Versions of the registered model as arms `v3`, on the questions that all were examined on.

    Raises PanelError or TrackingError.
    """
    try:
        model = read_champion(registry, stem)
        versions = {version.number: version for version in (model.versions if model else ())}
        if missing := [number for number in numbers if number not in versions]:
            raise PanelError(f"{stem} has no version {missing[0]}; there are: {', '.join(map(str, sorted(versions))) or 'none'}.")
        found = {number: find_evaluation(registry, versions[number]) for number in numbers}
        tables = {number: registry.table(place.run_id, SAMPLES) if place else [] for number, place in found.items()}
    except MlflowSilent as silent:
        raise TrackingError(f"{silent} Run this again once it does.") from None
    joined: dict[str, dict[str, str]] = {}
    origins: dict[str, Origin] = {}
    for number, place in found.items():
        if place is None or not tables[number] or place.arm not in tables[number][0]:
            raise PanelError(f"MLflow no longer has the answers that version {number} of {stem} gave when it was examined.")
        origins[f"v{number}"] = Origin(evaluation=place.run_id, experiment=place.experiment_id, arm=place.arm, version=str(number))
        if BASE in tables[number][0]:
            origins.setdefault(BASE, Origin(evaluation=place.run_id, experiment=place.experiment_id, arm=BASE))
        for row in tables[number]:
            kept = {name: str(row[name]) for name in (QUESTION, WRITER, BASE) if name in row}
            joined[kept[QUESTION]] = {**kept, **joined.get(kept[QUESTION], {}), f"v{number}": str(row[place.arm])}
    whole = [row for row in joined.values() if all(name in row for name in (WRITER, *origins))]
    return Material(whole, list(origins), origins)


def choose(material: Material, arms: Sequence[str]) -> Material:
    """The same with only these arms to be compared. Raises PanelError for one that is not there."""
    if missing := [arm for arm in arms if arm not in material.arms]:
        raise PanelError(f"There is no arm {missing[0]!r}; there are: {', '.join(material.arms)}.")
    return Material(material.rows, list(dict.fromkeys(arms)), material.origins)


def known_by_the_writer(home: Home, stem: str, material: Material) -> list[str]:
    """The writer's answers of the newest dataset's training split, without any that a reader is asked about. Raises SnapshotError."""
    dataset = newest(home.datasets(stem))
    if dataset is None:
        raise SnapshotError(f"{home.datasets(stem)} holds no dataset, whose training answers show readers how {stem} writes. Distil first.")
    asked = {row[QUESTION] for row in material.rows} | {row[WRITER] for row in material.rows}
    pairs = [(row["messages"][-2]["content"], row["messages"][-1]["content"]) for row in read_rows(dataset, DIRECT_FILE)]
    return [answer for question, answer in pairs if not {question, answer} & asked]


def _all_arms(rows: Sequence[Json], run_id: str, experiment: str) -> Material:
    arms = [name for name in rows[0] if name not in (QUESTION, WRITER)]
    origins = {arm: Origin(evaluation=run_id, experiment=experiment, arm=arm, version=_version(arm)) for arm in arms}
    return Material([{name: str(text) for name, text in row.items()} for row in rows], arms, origins)


def _version(arm: str) -> str | None:
    return arm.removeprefix(CHAMPION_ARM) if arm.startswith(CHAMPION_ARM) else None
