"""The page tells nobody which side is whose, and reaches nothing; the key is its owner's."""

import json
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ghostwriter.errors import PanelError
from ghostwriter.home import Home
from ghostwriter.panel.build import TEMPLATE, build_panel, default_arms
from ghostwriter.panel.key import KEY_FILE, find_key
from tests.panel_case import known, material, writer_in

EVIL = "</script><script>alert('x')</script><b>&. And a second sentence stands here. And a third one stands here, too."


def build(home: Home, found: object = None, number: int = 30) -> Path:
    return build_panel(home, writer_in("en"), found or material(40), known(), number, 0)[0]  # type: ignore[arg-type]


def data_of(page: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(re.findall(r'id="data">(.*?)</script>', page, re.DOTALL)[0])
    return read


def test_the_page_is_the_same_whatever_the_arms_are_called(home: Home) -> None:
    page = build(home).read_text(encoding="utf-8")
    plain = material(40)
    names = {"direct": "zebra", "mixed": "aardvark"}
    renamed = [{names.get(name, name): text for name, text in row.items()} for row in plain.rows]
    other = build(home, replace(plain, rows=renamed, arms=["zebra", "aardvark"], origins={}))
    assert other.read_text(encoding="utf-8") == page
    assert not [word for word in ("direct", "mixed", "turing", "check", "base") if word in json.dumps(data_of(page))]


def test_nothing_of_a_trial_but_its_texts_is_in_the_page(home: Home) -> None:
    data = data_of(build(home).read_text(encoding="utf-8"))
    assert sorted(data) == ["format", "language", "name", "panel", "trials"]
    assert {tuple(sorted(trial)) for trial in data["trials"]} == {("a", "b", "id", "known", "question")}
    assert [trial["id"] for trial in data["trials"]] == [str(number) for number in range(1, 31)]


def test_the_key_lies_beside_the_page_for_its_owner_alone(home: Home) -> None:
    folder = build(home).parent
    assert folder == home.panels("tester") / folder.name
    assert stat.S_IMODE((folder / KEY_FILE).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    key = find_key(home, "tester", folder.name)
    assert len(key.trials) == 30 and key.arms["mixed"].evaluation == "e1"


def test_a_panel_is_named_by_what_it_shows(home: Home) -> None:
    first, again = build(home), build(home)
    other = build(home, number=20)
    assert first == again != other


def test_a_text_cannot_end_the_page_s_data(home: Home) -> None:
    found = material(40)
    page = build(home, replace(found, rows=[{**row, "mixed": EVIL} for row in found.rows])).read_text()
    assert "<script>alert" not in page and "alert('x')" in page


def test_the_page_loads_nothing_and_sends_nothing() -> None:
    text = TEMPLATE.read_text(encoding="utf-8")
    assert "default-src 'none'" in text and "form-action 'none'" in text
    assert not re.search(r'(src|href)="|https?://|@import|fetch\(|XMLHttpRequest|sendBeacon|innerHTML|unsafe-', text)


def test_too_few_questions_are_refused_with_what_to_do(home: Home) -> None:
    with pytest.raises(PanelError, match=r"2 held-out questions give 8 pairs, and a panel needs 10; .*heldout_share"):
        build(home, material(2, compared=("direct", "mixed", "base")))


def test_too_few_rounds_are_refused(home: Home) -> None:
    with pytest.raises(PanelError, match="5 rounds say too little"):
        build(home, number=5)


def test_a_writer_without_a_text_to_show_is_refused(home: Home) -> None:
    with pytest.raises(PanelError, match="no answer of Tess Ter among the 1 of the training split"):
        build_panel(home, writer_in("en"), material(40), ["Too short."], 30, 0)


def test_the_base_joins_only_where_there_is_nothing_else_to_compare() -> None:
    assert default_arms(["base", "mixed", "champion-v3"]) == ["mixed", "champion-v3"]
    assert default_arms(["base", "mixed"]) == ["base", "mixed"]
