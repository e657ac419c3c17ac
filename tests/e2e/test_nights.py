"""Nights, fired by the real scheduler on schedules of seconds."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import accumulate
from urllib.parse import quote

from ghostwriter.embedded.airflow_api import FINISHED, Json
from ghostwriter.embedded.services import wait_until
from tests.e2e.inboxes import WEBHOOK_SECRET
from tests.e2e.nights import WRITERS, Night
from tests.e2e.world import NEIGHBOUR, RESTLESS, World

GPU_TASKS = ("train", "evaluate")
RESTLESS_SECONDS = 2
"""From one night of this writer to the next."""
RESTLESS_COLLECT = f"{RESTLESS}_collect"


def test_the_scheduler_fires_both_writers_on_the_same_night(night: Night) -> None:
    dates = {stem: {run["logical_date"] for run in runs} for stem, runs in night.collected.items()}
    assert {run["run_type"] for runs in night.collected.values() for run in runs} == {"scheduled"}
    assert set.intersection(*dates.values())


def test_the_news_of_a_night_are_trained_on_once(night: Night) -> None:
    for counts in night.counts.values():
        assert counts["collect"] > 1
        assert (counts["distill"], counts["train"]) == (1, 1)


def test_a_night_without_news_ends_green_after_collecting(world: World, night: Night) -> None:
    """One that comes while the first is still at work may wake distilling or training, which then find nothing left."""
    for stem, runs in night.collected.items():
        over = night.loops[stem].tasks["train"]["close_run"]["end_date"]
        for run in runs[1:]:
            assert run["state"] == "success"
            states = world.states(f"{stem}_collect", run["dag_run_id"])
            assert states.pop("read_site") == "success"
            assert set(states) == {"snapshot", "wake_training"}
            if run["start_date"] > over:
                assert set(states.values()) == {"skipped"}


def test_two_writers_of_one_night_take_turns_on_the_gpu(night: Night) -> None:
    tasks = [night.loops[stem].tasks["train"][task] for stem in WRITERS for task in GPU_TASKS]
    assert {task["pool"] for task in tasks} == {"gpu"}
    assert _at_once(tasks) == 1
    assert {night.loops[stem].tasks["train"]["measure"]["pool"] for stem in WRITERS} == {"default_pool"}
    trains = [[loop.tasks["train"][task] for task in ("plan", "close_run")] for loop in night.loops.values()]
    assert _at_once([{"start_date": plan["start_date"], "end_date": close["end_date"]} for plan, close in trains]) == 2


def test_a_new_champion_is_told_to_whom_the_writer_file_names_and_to_nobody_else(world: World, night: Night) -> None:
    run_id = night.loops[NEIGHBOUR].runs["train"]
    (mail,) = [mail for mail in world.inboxes.mails if "champion" in mail["Subject"]]
    assert (mail["Subject"], mail["To"], mail["From"]) == (
        "Version 1 is now the champion of Dusk & Dawn.",
        "owner@example.org",
        "airflow@example.org",
    )
    page = mail.get_body(("html",))
    assert page and "<p>Version 1 is now the champion of Dusk &amp; Dawn.</p><p>Promote: " in page.get_content()
    ((path, body),) = [post for post in world.inboxes.posts if "champion" in post[1]["text"]]
    assert path == f"/{WEBHOOK_SECRET}"
    first, why, link = body["text"].splitlines()
    assert (first, why.partition(":")[0]) == ("Version 1 is now the champion of Dusk & Dawn.", "Promote")
    assert link.startswith(f"{world.api.url}/dags/{NEIGHBOUR}_train/runs/{quote(run_id)}/tasks/promote")


def test_a_night_that_lasts_into_the_next_is_not_doubled(world: World, night: Night) -> None:
    world.switch_on([RESTLESS_COLLECT])
    wait_until(lambda: len(_finished(world)) >= 2, 240, "Two nights that last into the next")
    world.api.patch(f"dags/{RESTLESS_COLLECT}", {"is_paused": True})
    wait_until(lambda: not _is_at_work(world), 60, "The end of the last night's tasks")  # one that is cut off is tried minutes later
    runs = _finished(world)
    assert _at_once(runs) == 1
    assert all(_seconds(run["end_date"]) - _seconds(run["logical_date"]) > RESTLESS_SECONDS for run in runs)


def test_of_the_nights_missed_only_the_first_and_the_last_are_made_up_for(world: World, night: Night) -> None:
    """The first was due already when everything stopped; the last is the newest. Ten nights down are not ten runs."""
    known = {run["logical_date"] for run in world.api.runs(RESTLESS_COLLECT)}
    scheduler = next(service for service in world.stack.airflow_services() if service.name == "airflow-scheduler")
    world.supervisor.stop(scheduler.name)
    world.api.unpause(RESTLESS_COLLECT)
    down = datetime.now(UTC).timestamp()
    time.sleep(10 * RESTLESS_SECONDS)
    up = datetime.now(UTC).timestamp()
    world.supervisor.start(scheduler)
    wait_until(lambda: any(_seconds(run["logical_date"]) > up for run in _finished(world)), 240, "A night after the missed ones")
    world.api.patch(f"dags/{RESTLESS_COLLECT}", {"is_paused": True})
    dates = [run["logical_date"] for run in world.api.runs(RESTLESS_COLLECT)]
    assert len(dates) == len(set(dates))
    assert len([date for date in set(dates) - known if _seconds(date) < up]) <= 2
    assert up - down >= 10 * RESTLESS_SECONDS


def _finished(world: World) -> list[Json]:
    return [run for run in world.api.runs(RESTLESS_COLLECT) if run["state"] in FINISHED]


def _is_at_work(world: World) -> bool:
    """Whether a task of the newest night has begun and not ended; a paused DAG begins no other."""
    newest = max(world.api.runs(RESTLESS_COLLECT), key=lambda run: str(run["logical_date"]))
    return bool({"scheduled", "queued", "running"} & set(world.states(RESTLESS_COLLECT, newest["dag_run_id"]).values()))


def _at_once(spans: Iterable[Json]) -> int:
    """Most of these that were at work at one time."""
    moments = [change for span in spans for change in ((_seconds(span["start_date"]), 1), (_seconds(span["end_date"]), -1))]
    return max(accumulate(step for _, step in sorted(moments)))


def _seconds(date: str) -> float:
    return datetime.fromisoformat(date).timestamp()
