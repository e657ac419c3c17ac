"""Talking to a writer's versions and voting, in a real browser, wide and narrow, in both languages."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from demo.follow import Loop
from ghostwriter.database import open_database
from ghostwriter.embedded.services import wait_until
from ghostwriter.votes.records import VoteRow, all_votes
from tests.e2e.browser import log_in, open_browser
from tests.e2e.world import BASE_ANSWER, CHAMPION_ANSWER, STEM, World

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}


@pytest.fixture(scope="module")
def page(world: World, first: Loop) -> Iterator[Page]:
    """Logged in, on a wide screen; the writer has a champion."""
    with open_browser() as page:
        log_in(page, world.api.url, world.stack.password())
        page.set_viewport_size(DESK)
        yield page


@pytest.fixture
def phone(page: Page) -> Iterator[Page]:
    """The same person on a narrow screen whose language is Chinese."""
    assert page.context.browser
    context = page.context.browser.new_context(viewport=PHONE, locale="zh-CN", storage_state=page.context.storage_state())
    yield context.new_page()
    context.close()


def open_chat(page: Page, world: World) -> list[str]:
    """The chat page; returns what the browser complains of from now on."""
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{world.api.url}/ghostwriter/chat/{STEM}")
    return complaints


def ask(page: Page, question: str) -> Locator:
    """Send a question by the Enter key; returns the turns."""
    page.locator("textarea").fill(question)
    page.locator("textarea").press("Enter")
    return page.locator("#turns")


def votes(world: World) -> list[VoteRow]:
    engine = open_database(world.home.database_url)
    try:
        return all_votes(engine, STEM)
    finally:
        engine.dispose()


def test_a_chat_begins_from_the_writers_card_and_html_is_text(world: World, page: Page) -> None:
    page.goto(f"{world.api.url}/ghostwriter/")
    page.locator(f"section#{STEM}").get_by_role("link", name="Talk to it").click()
    expect(page.get_by_role("heading", name="Talk to Odessa Lamplight's model")).to_be_visible()
    expect(page.locator("main")).to_contain_text("Chats are not kept.")
    complaints = open_chat(page, world)
    starter = page.locator(".starters button").first
    question = starter.inner_text()
    starter.click()
    turns = page.locator("#turns")
    expect(turns.locator(".model p").first).to_have_text(CHAMPION_ANSWER)
    expect(turns.locator(".user p")).to_have_text(question)
    expect(turns.locator(".model h3")).to_have_text("version 3 (champion)")
    assert turns.locator("img, b").count() == 0
    ask(page, "And then?")
    expect(turns.locator(".model p").nth(1)).to_have_text(CHAMPION_ANSWER)
    roles = [message["role"] for message in world.gateway.requests[-1]["messages"]]
    assert roles == ["user", "assistant", "user"]
    asked = len(world.gateway.requests)
    page.get_by_role("button", name="Another answer").click()
    wait_until(lambda: len(world.gateway.requests) > asked, 20, "The question asked again")
    assert [message["content"] for message in world.gateway.requests[-1]["messages"]] == [question, CHAMPION_ANSWER, "And then?"]
    expect(turns.locator(".model")).to_have_count(2)
    assert complaints == []


def test_an_answer_is_stopped(world: World, page: Page) -> None:
    open_chat(page, world)
    world.gateway.pauses = {STEM: 1.0}
    turns = ask(page, "Slowly, please")
    page.get_by_role("button", name="Stop").click()
    expect(turns).to_contain_text("Stopped.")
    wait_until(lambda: STEM in world.gateway.broken_off, 20, "The end of the answer")
    world.gateway.pauses = {}


def test_a_blind_comparison_is_voted_on_and_names_come_after(world: World, page: Page) -> None:
    complaints = open_chat(page, world)
    page.get_by_label("Compare two blindly").check()
    page.get_by_label("beside").select_option("base")
    before = len(votes(world))
    turns = ask(page, "Which one are you?")
    buttons = turns.locator(".votes button")
    expect(buttons).to_have_text(["A is better", "B is better", "Equally good", "Both bad"])
    expect(turns.locator(".pair h3")).to_have_text(["Answer A", "Answer B"])
    shown = turns.locator(".pair p").all_inner_texts()
    assert sorted(shown) == sorted([CHAMPION_ANSWER, BASE_ANSWER])
    buttons.nth(0).click()
    expect(turns).to_contain_text("Your vote is kept.")
    names = ["version 3 (champion)", "base"] if shown[0] == CHAMPION_ANSWER else ["base", "version 3 (champion)"]
    expect(turns.locator(".pair h3")).to_have_text([f"Answer {letter}: {name}" for letter, name in zip("AB", names, strict=True)])
    expect(buttons.nth(1)).to_be_disabled()
    kept = votes(world)
    assert len(kept) == before + 1
    assert (kept[-1].choice, kept[-1].who, kept[-1].text_a) == ("a", "admin", shown[0])
    assert complaints == []


def test_a_comparison_that_is_refused_leaves_no_empty_answers(world: World, page: Page) -> None:
    open_chat(page, world)
    page.get_by_label("Compare two blindly").check()
    refusal = (400, {"message": "The conversation is too long for this model.", "code": "context_length_exceeded"}, {})
    world.gateway.refusals = [refusal, refusal]
    turns = ask(page, "Which one are you?")
    expect(page.locator("main")).to_contain_text("The conversation is too long for this model.")
    expect(turns.locator(".pair")).to_have_count(0)
    world.gateway.refusals = []


def test_the_vote_is_feedback_in_mlflow(world: World) -> None:
    wait_until(lambda: votes(world)[0].trace_b is not None, 120, "The vote in MLflow")
    row = votes(world)[0]
    for trace, text, value in ((row.trace_a, row.text_a, "better"), (row.trace_b, row.text_b, "worse")):
        shown = world.client.get_trace(str(trace))
        assert shown.data.spans[0].outputs["choices"][0]["message"]["content"] == text
        assert [(each.name, each.value, each.source.source_id) for each in shown.info.assessments] == [("preferred", value, "admin")]


def test_the_same_on_a_phone_in_chinese_and_in_the_dark(world: World, phone: Page) -> None:
    phone.emulate_media(color_scheme="dark")
    complaints = open_chat(phone, world)
    expect(phone.get_by_role("heading", name="与Odessa Lamplight的模型对话")).to_be_visible()
    expect(phone.locator("main")).to_contain_text("对话不保存")
    phone.get_by_label("盲比两个").check()
    phone.get_by_label("对照").select_option("base")
    turns = ask(phone, "你是谁？")
    expect(turns.locator(".votes button")).to_have_text(["A 更好", "B 更好", "一样好", "都不好"])
    wide = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    assert not phone.evaluate(wide), "the page is wider than the phone"
    low = [button.bounding_box() for button in turns.locator(".votes button").all()]
    assert all(box and box["height"] >= 40 for box in low), "too small for a thumb"
    turns.get_by_role("button", name="一样好").click()
    expect(turns).to_contain_text("投票已保存。")
    expect(turns.locator(".pair h3").filter(has_text="原模型")).to_have_count(1)
    assert phone.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 24, 28)"
    assert complaints == []
