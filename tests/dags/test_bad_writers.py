"""What one writer's files can break takes no other writer's DAG away."""

import json
import os
from pathlib import Path

import pytest
from airflow.sdk import DAG, Param

from ghostwriter.home import ROOT
from ghostwriter.snapshot import write_snapshot
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.writer import Writer
from tests.dags.bag import DagBag, read_dags

STAGES = ("collect", "distill", "train", "compare", "rollback")
GOOD = (ROOT / "writers" / "lamplight.toml").read_text()
BAD = {
    "my blog": GOOD,
    "cron": GOOD.replace('cron = "0 3 * * *"', 'cron = "0 3 * *"'),
    "recipe": GOOD.replace('recipe = "', 'recipe = "no-'),
    "prompt": GOOD.replace("[teacher]", '[teacher]\nprompt = "none"'),
    "nul": "name = \x00",
}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> DagBag:
    """Three sound writers: one with a name near a bad one's, one whose newest snapshot is cut, which no form reads."""
    writers, home = tmp_path_factory.mktemp("writers"), tmp_path_factory.mktemp("home")
    for stem, text in {**BAD, "my_blog": GOOD, "torn": GOOD, "lamplight": GOOD}.items():
        (writers / f"{stem}.toml").write_text(text)
    Path(os.fsdecode(os.fsencode(writers) + b"/\xe9t\xe9.toml")).write_text(GOOD)
    torn = write_snapshot(home / "answers" / "torn", "answers", "torn", {"answers.jsonl": [{"question": "Why?"}]})
    (torn / "answers.jsonl").write_text('{"question": ')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GHOSTWRITER_WRITERS", str(writers))
        patch.setenv("GHOSTWRITER_HOME", str(home))
        return read_dags()


def test_sound_writers_keep_all_their_dags(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert {f"{stem}_{stage}" for stem in ("my_blog", "lamplight", "torn") for stage in STAGES} <= set(bag.dags)
    assert bag.dags["my_blog_collect"].timetable.expression == "0 3 * * *"


def test_each_bad_file_has_a_dag_that_says_what_is_wrong(bag: DagBag) -> None:
    unreadable = {name: dag for name, dag in bag.dags.items() if "unreadable" in dag.tags}
    assert len(unreadable) == len(BAD) + 1  # the one that is no UTF-8
    assert "no such recipe" in (unreadable["recipe_collect"].doc_md or "")
    assert "no cron expression" in (unreadable["cron_collect"].doc_md or "")
    assert [name for name in unreadable if name.startswith("my_blog_") and name != "my_blog_collect"] != []


def test_what_cannot_be_built_of_a_sound_file_is_stood_in_for_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stem in ("torn", "lamplight"):
        (tmp_path / f"{stem}.toml").write_text(GOOD)
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(tmp_path))

    def form(writer: Writer) -> dict[str, Param]:
        return {"of": Param(json.loads('{"cut": ' if writer.stem == "torn" else "1"))}

    built = writer_dags("distill", lambda writer: DAG(f"{writer.stem}_distill", schedule=None), form)
    assert {name: [task.task_id for task in dag.tasks] for name, dag in built.items()} == {
        "torn_distill": ["explain"],
        "lamplight_distill": [],
    }
    assert "JSONDecodeError" in (built["torn_distill"].doc_md or "")
