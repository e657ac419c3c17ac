"""Pictures of a running demo: `python tests/e2e/screens.py AIRFLOW_URL PASSWORD MLFLOW_URL DAG_RUN_PATH MLFLOW_RUN_PATH`."""

import sys
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

DOCS = Path(__file__).resolve().parents[2] / "docs"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SETTLE_MS = 4_000


def main(airflow: str, password: str, mlflow: str, dag_run: str, mlflow_run: str) -> None:
    """Log in, and take one picture of each screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 860})
        page.goto(airflow)
        page.fill("input[name=username]", "admin")
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_timeout(SETTLE_MS)
        shoot(page, f"{airflow}{dag_run}", "airflow.png")
        shoot(page, f"{mlflow}{mlflow_run}", "mlflow.png")
        browser.close()


def shoot(page: Page, url: str, name: str) -> None:
    """Open a page, let it settle, and keep its picture in docs/."""
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    for label in ("Got it", "Close", "Dismiss"):
        if (button := page.get_by_role("button", name=label, exact=True)).count():
            button.first.click()
    page.wait_for_timeout(1_000)
    page.screenshot(path=DOCS / name)


if __name__ == "__main__":
    main(*sys.argv[1:6])
