"""A panel's page in a real Chromium, in both languages: read, left and gone on with, saved, and read back."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Request, expect

from ghostwriter.home import ROOT, Home
from ghostwriter.panel.build import build_panel
from ghostwriter.panel.figures import PanelResult
from ghostwriter.panel.key import Key, find_key
from ghostwriter.panel.read import read_panel
from tests.e2e.browser import open_browser
from tests.panel_case import Choice, coin, known, material, perfect, writer_in

TRIALS = 20
WORDS = {
    "en": {
        "begin": "Begin",
        "onward": "Go on",
        "next": "Next",
        "save": "Save the file",
        "voice": "Which one sounds more like Tess Ter?",
        "round": "Round 1 of 20",
    },
    "zh": {
        "begin": "开始",
        "onward": "继续",
        "next": "下一组",
        "save": "保存文件",
        "voice": "哪一个更像老程？",
        "round": "第 1 组，共 20 组",
    },
}


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_browser() as page:
        yield page


def build(folder: Path, language: str) -> tuple[Home, Path, Key]:
    home, writer = Home(folder / "home"), writer_in(language)
    path, _ = build_panel(home, writer, material(30, language), known(language=language), TRIALS, 0)
    return home, path, find_key(home, writer.stem, path.parent.name)


def vote(page: Page, key: Key, choice: Choice, rounds: range, words: dict[str, str]) -> None:
    """Answer rounds as a reader does, each one on the screen."""
    for place in rounds:
        trial = key.trials[str(place + 1)]
        side = "a" if choice(trial) == trial.a else "b"
        page.locator(f"input[name=voice][value={side}]").check()
        expect(page.get_by_role("button", name=words["next"])).to_be_disabled()
        page.locator("input[name=quality][value=equal]").check()
        page.get_by_role("button", name=words["next"]).click()


def save(page: Page, reader: str, folder: Path, words: dict[str, str]) -> Path:
    page.locator("#reader").fill(reader)
    with page.expect_download() as found:
        page.get_by_role("button", name=words["save"]).click()
    path = folder / found.value.suggested_filename
    found.value.save_as(path)
    return path


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_reader_goes_through_stops_goes_on_and_saves(page: Page, tmp_path: Path, language: str) -> None:
    words, (home, path, key) = WORDS[language], build(tmp_path, language)
    asked: list[Request] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request))
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(path.as_uri())
    page.get_by_role("button", name=words["begin"]).click()
    expect(page.get_by_text(words["round"], exact=True)).to_be_visible()
    expect(page.get_by_role("group", name=words["voice"])).to_be_visible()
    vote(page, key, perfect, range(7), words)
    page.reload()
    page.get_by_role("button", name=words["onward"]).click()
    vote(page, key, perfect, range(7, TRIALS), words)
    page.get_by_role("button", name=words["save"]).click()
    expect(page.get_by_role("status")).not_to_be_empty()  # no name yet, so nothing is saved
    saved = save(page, "阿文 A.", tmp_path, words)
    assert saved.name == f"panel-{key.panel}-阿文_A_.json"
    _, result = read_panel(home, "tester", [saved])
    (reader,) = result.readers
    assert (reader.name, reader.answered, reader.right, reader.checks, reader.taken_in) == ("阿文 A.", TRIALS, 2, 2, 0.0)
    assert {vote["quality"] for vote in json.loads(saved.read_text())["votes"].values()} == {"equal"}
    assert {request.url.split(":")[0] for request in asked} <= {"file", "blob"}
    assert problems == []


def test_a_scripted_coin_is_flagged_and_what_is_done_can_be_saved_early(page: Page, tmp_path: Path) -> None:
    words, (home, path, key) = WORDS["en"], build(tmp_path, "en")
    page.goto(path.as_uri())
    page.evaluate("localStorage.clear()")
    page.reload()
    page.get_by_role("button", name=words["begin"]).click()
    vote(page, key, coin(3), range(16), words)
    page.get_by_role("button", name="Stop here").click()
    expect(page.get_by_text("16 of 20 rounds are answered.")).to_be_visible()
    result: PanelResult = read_panel(home, "tester", [save(page, "C", tmp_path, words)])[1]
    (reader,) = result.readers
    assert reader.answered == 16 and reader.flagged.startswith("took the untrained base for the writer")


def test_the_page_may_run_no_other_script_and_reach_nothing(page: Page, tmp_path: Path) -> None:
    _, path, _ = build(tmp_path, "en")
    page.goto(path.as_uri())
    refused = page.evaluate(
        "() => { const made = document.createElement('script'); made.textContent = 'window.ran = 1'; document.body.append(made);"
        " return fetch('http://127.0.0.1:9/').then(() => 'reached', error => `${window.ran} ${error.name}`); }"
    )
    assert refused == "undefined TypeError"


def test_a_report_shows_what_readers_said_in_both_languages(page: Page, tmp_path: Path) -> None:
    share = {"value": 0.31, "low": 0.22, "high": 0.4, "questions": 9}
    panel = {
        "panel": "0123456789ab", "trials": 30, "believed": 4, "readers": 5,
        "turing": {"mixed": {"share": share, "votes": 80, "needed": 0}}, "pairs": {}, "alpha": {"voice": 0.41},
        "strengths": {"voice": {"writer": share, "mixed": share}}, "no_ranks": {"quality": "no agreement: alpha is 0.10, 0.2 is needed"},
    }  # fmt: skip
    empty = {
        "arms": ["writer", "mixed"],
        "candidate": "mixed",
        "rival": "",
        "measures": [],
        "marks": {"style": {}, "rep4": {}},
        "samples": [],
    }
    rest = {
        "pictures": [],
        "scores": {},
        "differences": {},
        "withheld": {},
        "reloaded": None,
        "separation": {},
        "shuffled": {},
        "phrases": {},
    }
    text = (ROOT / "training" / "measure" / "report_page.html").read_text(encoding="utf-8")
    (tmp_path / "report.html").write_text(text.replace("__DATA__", json.dumps({**empty, **rest, "panel": panel})), encoding="utf-8")
    page.goto((tmp_path / "report.html").as_uri())
    said = page.locator("#panel")
    expect(said).to_contain_text("mixed: taken for the writer in 31 % [22 %, 40 %] of 80 pairs with the writer's own answer")
    expect(said).to_contain_text("Sounds like the writer (alpha 0.41): the writer 31 % [22 %, 40 %] · mixed 31 %")
    expect(said).to_contain_text("Is the better answer: no ranks, no agreement: alpha is 0.10")
    page.locator("#language").click()
    expect(said).to_contain_text("5 位读者中计入 4 位")
