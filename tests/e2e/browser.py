"""Chromium, driven by playwright: the steps that several tests and the pictures of docs/ take."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = 60_000
"""Two cores show a page late while a model trains beside it."""
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def open_browser() -> Iterator[Page]:
    """A page of the machine's own Chromium. Raises RuntimeError when there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        raise RuntimeError("There is no Chromium. `make chromium` installs it on Debian.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.set_default_timeout(PATIENCE_MS)
        yield page
        browser.close()


def log_in(page: Page, airflow: str, password: str) -> None:
    """Log in as admin, wherever Airflow asks for it."""
    page.goto(airflow)
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", password)
    page.click("button[type=submit]")
    page.get_by_role("link", name="Dags", exact=True).first.wait_for()


def open_form(page: Page, airflow: str, dag: str) -> Locator:
    """The form that triggers a DAG."""
    page.goto(f"{airflow}/dags/{dag}")
    page.get_by_role("button", name="Trigger").first.click()
    form = page.locator("[role=dialog][data-state=open]")
    form.get_by_role("button", name="Run Parameters").wait_for()
    return form


def choose(form: Locator, field: str, option: str) -> None:
    """Pick an option of a list, by the beginning of its name."""
    form.locator(f"#element_{field}").click()
    form.page.get_by_role("option", name=option).first.click()


def submit(form: Locator) -> None:
    """Press the form's own button."""
    form.get_by_role("button", name="Trigger", exact=True).click()
