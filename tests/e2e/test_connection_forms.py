"""Connections of our own types, made in Airflow's form by a person and tried by its button: right and wrong."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.browser import log_in, open_browser
from tests.e2e.world import ACCOUNT, COOKIE, World
from tests.ghostwriter.collecting.sources.test_stackexchange import Api, item
from tests.teacher_server import KEY, MODEL


@pytest.fixture(scope="module")
def page(world: World) -> Iterator[Page]:
    with open_browser() as page:
        log_in(page, world.api.url, world.stack.password())
        yield page


def test_a_zhihu_cookie_that_works_and_one_that_has_expired(world: World, page: Page) -> None:
    fields = {"host": world.site.url, "login": "Mozilla/5.0", "element_account": ACCOUNT}
    make(page, world.api.url, "cookie", "Zhihu 知乎", password=COOKIE, **fields)
    expect(tried(page, "cookie")).to_contain_text(f"The cookie works: 206 answers of {ACCOUNT} can be read.")
    make(page, world.api.url, "stale", "Zhihu 知乎", password="z_c0=EXPIRED; d_c0=x", **fields)
    expect(tried(page, "stale")).to_contain_text("Log in with your browser, copy the whole Cookie header")


def test_a_teacher_that_answers_a_wrong_key_and_a_model_it_has_not(world: World, page: Page) -> None:
    fields = {"host": world.teacher.base_url, "element_model": MODEL}
    make(page, world.api.url, "answers", "Teacher (OpenAI-compatible)", password=KEY, **fields)
    expect(tried(page, "answers")).to_contain_text(f"{MODEL} answers: ")
    make(page, world.api.url, "locked", "Teacher (OpenAI-compatible)", password="sk-wrong", **fields)
    expect(tried(page, "locked")).to_contain_text("Put a key that may use this model into the teacher's connection")
    make(page, world.api.url, "absent", "Teacher (OpenAI-compatible)", password=KEY, **{**fields, "element_model": "other"})
    expect(tried(page, "absent")).to_contain_text("Write a model that this endpoint serves")


def test_stack_exchange_with_an_account_and_without(world: World, page: Page) -> None:
    with Api([item(number) for number in range(3)]) as site:
        make(page, world.api.url, "stack", "Stack Exchange", host=site.url, element_account="stackoverflow/22656")
        expect(tried(page, "stack")).to_contain_text("answers of stackoverflow/22656 can be read. 200 requests are left today.")
        make(page, world.api.url, "nobody", "Stack Exchange", host=site.url)
        expect(tried(page, "nobody")).to_contain_text("Write one under Account: site and user id")


def make(page: Page, airflow: str, name: str, kind: str, **fields: str) -> None:
    """Fill the form, with its fields by Airflow's names, and save it."""
    page.goto(f"{airflow}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.locator("[role=dialog][data-state=open]")
    form.locator("[name=connection_id]").fill(name)
    form.get_by_role("combobox").first.fill(kind)
    page.get_by_role("option", name=kind).first.click()
    form.locator("[name=port]").fill("0")  # as its placeholder says
    for field, value in fields.items():
        if field.startswith("element_") and not form.locator(f"[name={field}]").is_visible():
            form.get_by_role("button", name="Extra Fields").first.click()
        form.locator(f"[name={field}]").fill(value)
    form.get_by_role("button", name="Save").click()
    expect(form).to_be_hidden()


def tried(page: Page, name: str) -> Locator:
    """Press the connection's button; where Airflow says what came of it."""
    row = page.get_by_role("row").filter(has=page.get_by_role("cell", name=name, exact=True))
    row.get_by_role("button", name="Test Connection").click()
    return page.locator("[data-scope=toast][data-part=root]").filter(has_text="Test Connection")
