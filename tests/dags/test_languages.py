"""A Chinese writer's DAGs and forms are Chinese from the catalogue, which holds nothing else; ids and tasks stay as they are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from ghostwriter.home import ROOT
from ghostwriter.tasks import forms
from ghostwriter.tasks.writer_dags import writer_dags
from ghostwriter.words.catalogue import catalogue, say, say_page
from ghostwriter.writer import Writer
from tests.dags.bag import DagBag, read_dags
from tests.ghostwriter.launchers.test_docker import SETTINGS

HAN = re.compile(r"[\u4e00-\u9fff]")


def bag_of(folder: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> DagBag:
    plain = (ROOT / "writers" / "lamplight.toml").read_text()
    plain = plain.replace("[teacher]\n", "[teacher]\nbatch = true\n")
    careful = '\n[gate]\napproval = true\n[judge]\nconnection = "judge"\nmodel = "judge"\n'
    for number, tongue in enumerate(more):
        (folder / f"deng_{'ab'[number]}.toml").write_text(f'{plain}{careful}[ui]\nlanguage = "{tongue}"\n')
    monkeypatch.setenv("GHOSTWRITER_WRITERS", str(folder))
    for name, value in SETTINGS.items():  # with launcher `docker` there is `maintenance`, too
        monkeypatch.setenv(name, value)
    return read_dags()


def shown(bag: DagBag) -> Iterator[str]:
    """Every text that a person reads of the DAGs and their forms, without the writer's name."""
    for one in bag.dags.values():
        yield one.dag_display_name.rpartition(": ")[2]
        yield one.doc_md or ""
        yield from (task.task_display_name for task in one.tasks)
        approvals: list[Any] = [task for task in one.tasks if task.task_id == "approve"]
        yield from (task.subject.replace("Odessa Lamplight", "%(writer)s") for task in approvals)
        for field in (*one.params.values(), *(field for task in approvals for field in task.params.values())):
            schema = field.schema
            yield from (text for text in (field.description, schema.get("title"), schema.get("section")) if text)
            yield from schema.get("values_display", {}).values()


def first_line(text: str) -> str:
    return text.strip().partition("\n")[0] if text.strip().startswith("###") else text


def translated(text: str) -> str:
    return say_page(text, "zh") if text.strip().startswith("###") else say(text, "zh")


def held() -> set[str]:
    return {*catalogue("zh")["dags"], *catalogue("zh")["tasks"], *catalogue("zh")["forms"]}


def test_all_that_is_read_is_chinese_and_the_catalogue_holds_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folders = tmp_path / "zh", tmp_path / "en"
    for folder in folders:
        folder.mkdir()
    chinese, english = bag_of(folders[0], monkeypatch, "zh"), bag_of(folders[1], monkeypatch, "en")
    assert chinese.dags.keys() == english.dags.keys() and "maintenance" in chinese.dags
    assert [text for text in shown(chinese) if not HAN.search(text)] == []
    assert held() == {first_line(text) for text in shown(english)} & held()
    assert {translated(text) for text in shown(english)} == set(shown(chinese))
    for name, one in chinese.dags.items():
        assert one.task_ids == english.dags[name].task_ids


def test_dags_of_nobody_are_in_the_language_that_all_writers_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bag_of(tmp_path, monkeypatch, "zh", "zh").dags["housekeeping"].dag_display_name == "清理"
    assert bag_of(tmp_path, monkeypatch, "zh", "en").dags["housekeeping"].dag_display_name == "Housekeeping"


def test_stand_ins_say_in_the_language_what_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torn.toml").write_text("name = ")
    assert bag_of(tmp_path, monkeypatch, "zh").dags["torn_collect"].dag_display_name == "torn: 作者文件无法读取"

    def broken(_writer: Writer) -> DAG:
        raise ValueError("no such arm")

    built = writer_dags("train", broken, forms.training)["deng_a_train"]
    assert built.dag_display_name == "Odessa Lamplight: train 无法生成"
    assert "no such arm" in (built.doc_md or "")
