"""README and guides, in both languages: their links lead somewhere, their commands and settings exist."""

import re
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import BaseModel

from ghostwriter.__main__ import COMMANDS
from ghostwriter.commands.run import STAGES
from ghostwriter.home import ROOT
from ghostwriter.writer import Writer
from training.contract import recipe_names
from training.recipe import Recipe

GUIDES = [ROOT / "README.md", ROOT / "README.zh-CN.md", *sorted((ROOT / "docs").glob("*.md"))]
BY_NAME = [path.relative_to(ROOT).as_posix() for path in GUIDES]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.M))
CODE = "\n".join(
    path.read_text(encoding="utf-8", errors="replace")
    for folder in ("plugins", "training", "demo", "docker", "guard", "deploy", "benchmarks")
    for path in (ROOT / folder).rglob("*")
    if path.suffix in (".py", ".yaml", ".sh", ".Dockerfile", ".toml")
) + "".join((ROOT / name).read_text(encoding="utf-8") for name in ("Makefile", "docker-compose.yaml"))


def spoken(text: str) -> str:
    """The code in a page: what stands between backticks or is indented."""
    return "\n".join([*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^ {4,}(.+)$", text, flags=re.M)])


@pytest.fixture(params=GUIDES, ids=BY_NAME)
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_links_lead_to_what_is_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)\)", page.read_text(encoding="utf-8"))
    broken = [link for link in links if not link.startswith("https://") and not (page.parent / link).exists()]
    assert not broken


def test_commands_exist(page: Path) -> None:
    code = spoken(page.read_text(encoding="utf-8"))
    asked = set(re.findall(r"python -m ghostwriter ([a-z]+)", code))
    assert asked <= {name for added in COMMANDS.values() for name in added}
    assert set(re.findall(r"^(?:\s*)make ([a-z-]+)", code, flags=re.M)) <= TARGETS
    stages = [word for line in re.findall(r"ghostwriter run <name>((?: [a-z]+)+)", code) for word in line.split()]
    assert set(stages) <= set(STAGES)


def test_settings_in_capitals_are_read_somewhere(page: Path) -> None:
    code = spoken(page.read_text(encoding="utf-8"))
    names = set(re.findall(r"\b([A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b", code)) - {"PIP_EXTRA_INDEX_URL"}
    assert not sorted(name for name in names if name not in CODE)


def test_writer_files_shown_can_be_read(page: Path) -> None:
    for block in re.findall(r"(?:^(?: {4,}.*)?\n)+", page.read_text(encoding="utf-8"), flags=re.M):
        if not re.search(r"^ +\[[a-z]+\]", block, flags=re.M):
            continue
        values = tomllib.loads(re.sub(r"^ {4,}", "", block, flags=re.M), parse_float=Decimal)
        least = {"stem": "shown", "name": "x", "language": "en", "source": {"kind": "jsonl", "account": "x"}}
        teacher = {"teacher": {"connection": "x", "model": "x"}}
        writer = Writer.model_validate({**least, **teacher, **values})
        assert writer.training.recipe in recipe_names()


def test_files_named_exist(page: Path) -> None:
    code = spoken(page.read_text(encoding="utf-8"))
    named = re.findall(r"\b((?:plugins|training|benchmarks|requirements|demo|docs|tests)/[\w./-]+\.(?:py|toml|txt|yaml|md|jsonl))\b", code)
    assert not [name for name in named if not (ROOT / name).exists()]


def test_both_languages_name_the_same_commands_and_settings() -> None:
    for english, chinese in (("README.md", "README.zh-CN.md"), ("docs/own-writer.md", "docs/own-writer.zh-CN.md")):
        told = [
            set(re.findall(r"ghostwriter ([a-z]+)|make ([a-z-]+)", spoken((ROOT / name).read_text(encoding="utf-8"))))
            for name in (english, chinese)
        ]
        assert told[0] == told[1]


def test_the_readme_is_one_page() -> None:
    for name in ("README.md", "README.zh-CN.md"):
        assert len((ROOT / name).read_text(encoding="utf-8").splitlines()) <= 120


@pytest.mark.parametrize(("table", "setting"), [("answering", "temperature"), ("evaluation", "twins"), ("evaluation", "greedy")])
def test_settings_of_an_evaluation_that_are_explained_exist(table: str, setting: str) -> None:
    settings = Writer.model_fields[table].annotation
    assert isinstance(settings, type) and issubclass(settings, BaseModel) and setting in settings.model_fields
    for page in ("docs/evaluation.md", "docs/own-writer.md", "docs/own-writer.zh-CN.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert f"[{table}]" in text and (setting in text or table == "answering")


@pytest.mark.parametrize("setting", ["max_seconds", "warm_steps"])
def test_settings_of_recipes_that_are_explained_exist(setting: str) -> None:
    assert issubclass(Recipe, BaseModel)
    assert setting in Recipe.model_fields
    assert setting in (ROOT / "docs" / "own-writer.md").read_text(encoding="utf-8")
