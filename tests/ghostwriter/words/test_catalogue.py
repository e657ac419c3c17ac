"""The Chinese catalogue: what is filled in stays, every kind of error has its sentence, long texts are found by their first line."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from airflow.utils.types import DagRunType

import ghostwriter
from ghostwriter.errors import GhostwriterError
from ghostwriter.home import ROOT
from ghostwriter.judging.measure_names import MEASURE_NAMES
from ghostwriter.tasks import late, notify
from ghostwriter.words.catalogue import PROBLEMS, catalogue, say, say_page, say_problem

ZH = catalogue("zh")
WORDS = [pair for table, part in ZH.items() if table != PROBLEMS for pair in part.items()]
ROOMS_OF_TASKS = ("collecting", "distilling", "judging", "launchers", "mlflow_runs", "tasks", "teacher")
NO_TASKS = {"no_other_answers"}
"""Only the command line meets them."""


def places(text: str) -> tuple[list[str], ...]:
    """What is filled in: %(name)s, %%, Jinja's expressions, {name}."""
    plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", text)
    braces = [name for _, name, _, _ in Formatter().parse(plain) if name is not None]
    return sorted(re.findall(r"%\(\w+\)[sdiwa]|%%", text)), sorted(re.findall(r"\{\{.*?\}\}", text)), sorted(braces)


@pytest.mark.parametrize(("english", "chinese"), WORDS)
def test_the_same_is_filled_in(english: str, chinese: str) -> None:
    assert places(english) == places(chinese)


SHOWN_BY_AIRFLOW = ("dags", "tasks", "forms", "run_types")
"""tests/dags compares the first three with what Airflow shows; the last are Airflow's own names."""
PLACE = re.compile(r"%\(\w+\)[sdiwa]|%s|\{\w+\}")
HOLE = "\0"
"""Where something is filled in, in whatever way."""


def written(path: Path) -> Iterator[str]:
    """Every text that a file of ours writes, a docstring by its first line; of a page what it marks as words."""
    source = path.read_text(encoding="utf-8")
    if path.suffix == ".html":
        yield from re.findall(r'_\("(.+?)"[,)]', source)
        return
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from (node.value, node.value.partition("\n")[0])
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else HOLE for part in node.values)


def test_the_code_writes_every_word_and_sentence_of_the_catalogue() -> None:
    files = [path for room in ("plugins", "dags", "training") for path in (ROOT / room).rglob("*") if path.suffix in (".py", ".html")]
    texts = {PLACE.sub(HOLE, text) for path in files for text in written(path)}
    looked_up = {english for table, part in ZH.items() if table not in (PROBLEMS, *SHOWN_BY_AIRFLOW) for english in part}
    assert [english for english in looked_up if PLACE.sub(HOLE, english) not in texts] == []


def test_a_word_has_one_translation() -> None:
    assert len({english for english, _ in WORDS}) == len(set(WORDS))


def test_every_measure_has_chinese_words_and_none_more() -> None:
    assert set(ZH["measures"]) == set(MEASURE_NAMES.values())


def test_every_kind_of_run_that_moves_a_champion_has_chinese_words() -> None:
    assert set(ZH["run_types"]) == {kind.value for kind in DagRunType}


def test_every_line_of_the_messages_is_there() -> None:
    lines = (*late.LATE_WORDS, *late.TIMED_OUT_WORDS, notify.REACHED_CAP, notify.FAILED, notify.LOG_SAYS_WHY, notify.CHAMPION)
    assert set(ZH["messages"]) == {*lines, notify.WAITING[0], notify.WAITING[2]}


def test_every_kind_of_error_that_a_task_can_end_in_has_its_sentence() -> None:
    for room in ROOMS_OF_TASKS:
        package = importlib.import_module(f"ghostwriter.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    codes = {kind.code for kind in kinds(GhostwriterError) if kind.__module__.startswith(("ghostwriter.errors", *rooms()))}
    assert codes - set(ZH[PROBLEMS]) - {"panel", "notify", "host"} == set()
    assert set(ZH[PROBLEMS]) - {"out_of_time"} <= codes


def rooms() -> tuple[str, ...]:
    return tuple(f"{ghostwriter.__name__}.{room}" for room in ROOMS_OF_TASKS)


def kinds(of: type[GhostwriterError]) -> set[type[GhostwriterError]]:
    return {of}.union(*(kinds(kind) for kind in of.__subclasses__()))


def test_a_problem_keeps_its_own_words_behind_the_sentence() -> None:
    assert say_problem("teacher_quota", "402: no credit", "en") == "402: no credit"
    assert say_problem("teacher_quota", "402: no credit", "zh").splitlines()[1] == "402: no credit"
    assert say_problem("unheard_of", "odd", "zh") == "odd"


def test_what_is_not_there_stays_english() -> None:
    assert say("Never written", "zh") == "Never written"
    assert say_page("Never written\n  twice", "zh") == "Never written\ntwice"
    assert say("Dataset", "en") == "Dataset" != say("Dataset", "zh")
