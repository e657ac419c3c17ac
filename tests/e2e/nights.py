"""The first night of two writers: the real scheduler fires both on a schedule of seconds, and the assets carry each to a champion."""

from dataclasses import dataclass

from demo.follow import Loop
from ghostwriter.embedded.airflow_api import FINISHED, Json
from ghostwriter.embedded.services import wait_until
from tests.e2e.world import BY_HAND, NEIGHBOUR, NEIGHBOUR_FILE, STEM, WRITER_FILE, World

WRITERS = {STEM: WRITER_FILE, NEIGHBOUR: NEIGHBOUR_FILE}
CHAIN = {"collect": "read_site", "distill": "ask_teacher", "train": "train"}
"""The DAGs of the chain, each with the task that does its work; a run that an event woke for nothing skips it."""


@dataclass(frozen=True)
class Night:
    """What the schedule did: each writer's first pass through the loop, all its runs of `_collect`, the oldest first, and how many of each
    DAG of the chain had done its work when it ended."""

    loops: dict[str, Loop]
    collected: dict[str, list[Json]]
    counts: dict[str, dict[str, int]]


def first_night(world: World) -> Night:
    """Let both schedules fire until each writer has a champion and has had one night without news; then only by hand."""
    for stem in WRITERS:
        world.api.unpause(f"{stem}_collect")
    for stem in WRITERS:
        wait_until(lambda stem=stem: len(_ended(world, f"{stem}_collect")) >= 2, 300, f"Two nights of {stem}")
        world.write(stem, WRITERS[stem] + BY_HAND)
    for stem in WRITERS:
        wait_until(lambda stem=stem: bool(_ended(world, f"{stem}_train")), 600, f"The training of {stem}")
        wait_until(lambda stem=stem: _is_quiet(world, f"{stem}_collect"), 120, f"The end of the schedule of {stem}")
    runs = {stem: world.api.runs(f"{stem}_collect")[::-1] for stem in WRITERS}
    counts = {stem: {stage: _worked(world, f"{stem}_{stage}", task) for stage, task in CHAIN.items()} for stem in WRITERS}
    return Night({stem: _loop(world, stem) for stem in WRITERS}, runs, counts)


def _ended(world: World, dag: str) -> list[Json]:
    return [run for run in world.api.runs(dag) if run["state"] in FINISHED]


def _worked(world: World, dag: str, task: str) -> int:
    """Runs of the DAG that did its work."""
    return sum(world.states(dag, run["dag_run_id"])[task] == "success" for run in world.api.runs(dag))


def _is_quiet(world: World, dag: str) -> bool:
    """Whether the DAG has no schedule any more, and no run at work."""
    return world.api.get(f"dags/{dag}")["timetable_summary"] is None and all(run["state"] in FINISHED for run in world.api.runs(dag))


def _loop(world: World, stem: str) -> Loop:
    loop = Loop()
    for stage in CHAIN:
        dag = f"{stem}_{stage}"
        loop.runs[stage] = world.api.runs(dag)[-1]["dag_run_id"]
        loop.tasks[stage] = {task["task_id"]: task for task in world.api.tasks(dag, loop.runs[stage])}
    return loop
