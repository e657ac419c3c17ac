"""Pictures for docs/ of a running installation: `python tests/e2e/screens.py AIRFLOW_URL PASSWORD MLFLOW_URL WRITER`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from mlflow import MlflowClient
from mlflow.entities import Run
from playwright.sync_api import Page

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "plugins")]

from ghostwriter.embedded.airflow_api import AirflowApi  # noqa: E402
from tests.e2e.browser import log_in, open_browser, open_form  # noqa: E402

DOCS = Path(__file__).resolve().parents[2] / "docs"
SETTLE_MS = 8_000
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}


def main(airflow: str, password: str, mlflow: str, stem: str) -> None:
    """Log in, and take one picture of each screen."""
    client, api = MlflowClient(mlflow), AirflowApi(airflow, password)
    experiment = client.get_experiment_by_name(stem)
    assert experiment

    def runs(kind: str) -> list[Run]:
        return client.search_runs([experiment.experiment_id], f"tags.`ghostwriter.kind` = '{kind}'", max_results=10)

    def compared(chosen: Sequence[Run]) -> str:
        ids = json.dumps([run.info.run_id for run in chosen])
        return f"{mlflow}/#/compare-runs?runs={quote(ids)}&experiments={quote(json.dumps([experiment.experiment_id]))}"

    views = f"{mlflow}/#/experiments/{experiment.experiment_id}/runs?viewStateShareKey="
    with open_browser() as page:
        log_in(page, airflow, password)
        page.set_viewport_size(DESKTOP)
        shoot(page, f"{airflow}/dags/{stem}_train/runs/{api.runs(f'{stem}_train')[-1]['dag_run_id']}", "airflow.png")
        open_form(page, airflow, f"{stem}_distill")
        keep(page, "form.png")
        shoot(page, f"{airflow}/ghostwriter/", "page.png", whole=True)
        shoot(page, f"{views}arms", "mlflow.png")
        arms = [run for run in runs("arm") if run.info.run_name in ("base", "direct", "distilled")]
        for name, chosen in (("nights", runs("candidate")[:2]), ("arms", arms[:3]), ("recipes", runs("train")[:2])):
            shoot(page, compared(chosen), f"compare-{name}.png", fold="Visualizations")
        page.set_viewport_size(PHONE)
        shoot(page, f"{airflow}/ghostwriter/", "page-phone.png", whole=True)


def shoot(page: Page, url: str, name: str, *, whole: bool = False, fold: str = "") -> None:
    """Open a page, close what lies over it, fold a section away, and keep its picture."""
    page.goto(url)
    page.wait_for_timeout(SETTLE_MS)
    for label in ("Got it", "Close", "Dismiss"):
        if (button := page.get_by_role("button", name=label, exact=True)).count():
            button.first.click()
    if fold:
        page.get_by_text(fold, exact=True).first.click()
    keep(page, name, whole=whole)


def keep(page: Page, name: str, *, whole: bool = False) -> None:
    """Let the page settle, and keep its picture in docs/."""
    page.wait_for_timeout(1_000)
    page.screenshot(path=DOCS / name, full_page=whole)


if __name__ == "__main__":
    main(*sys.argv[1:5])
